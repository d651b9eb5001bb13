//! The client's own parsers of what a hub sends, for fuzzers. Test tooling, behind the feature
//! `testing`.

use super::listing::Pages;
use crate::hub::HubListing;

/// A page of a listing, read twice, as the second page after itself: no name is new then.
pub fn listing_page(body: &[u8]) -> Option<HubListing> {
    let mut pages = Pages::default();
    pages.add(body).ok()?;
    let again = pages.add(body).ok()?;
    assert_eq!(again.new_names, 0, "a page has names that it has not");
    Some(pages.into_listing())
}
