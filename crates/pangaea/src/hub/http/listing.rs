//! Reading pages of a listing straight into a set of files: no tree of values in between, no copy
//! of a name that needs none. What a hub leaves out of an entry, or spells oddly, spoils nothing
//! but that entry.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::hash_map;
use std::fmt;

use gaia::etag::ETag;
use gaia::listing::PageMark;
use gaia::path::FilePath;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error as _;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::hub::HubFile;
use crate::hub::HubListing;

/// The files of all pages so far, each path once; what a later page says counts.
#[derive(Debug, Default)]
pub(super) struct Pages {
    files: Vec<HubFile>,
    /// Where in `files` a path stands. A hash, because comparing long paths that begin alike takes
    /// most of the time of a listing otherwise; the order is that of `files`.
    places: HashMap<FilePath, usize>,
    unusable: BTreeSet<String>,
}

#[derive(Debug, Default, PartialEq)]
struct Stat {
    tag: Option<ETag>,
    size: u64,
}

/// What is to be known of one page besides its files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageEnd {
    /// How many names on it no earlier page had.
    pub(super) new_names: usize,
    /// Where the next page begins. None after the last page and after an empty one, for a stock
    /// hub gives a mark for ever.
    pub(super) next: Option<PageMark>,
}

impl Pages {
    /// Adds a page.
    pub(super) fn add(&mut self, body: &[u8]) -> serde_json::Result<PageEnd> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let end = PageReader(self).deserialize(&mut reader)?;
        reader.end()?;
        Ok(end)
    }

    /// How many names there are so far.
    fn names(&self) -> usize {
        self.files.len() + self.unusable.len()
    }

    pub(super) fn into_listing(self) -> HubListing {
        HubListing {
            files: self.files,
            unusable: self.unusable.into_iter().collect(),
        }
    }

    fn insert(&mut self, name: &str, Stat { tag, size }: Stat) {
        let Ok(path) = FilePath::parse(name) else {
            self.unusable.insert(name.to_owned());
            return;
        };
        let file = HubFile {
            path: path.clone(),
            tag,
            size,
        };
        match self.places.entry(path) {
            hash_map::Entry::Vacant(place) => {
                place.insert(self.files.len());
                self.files.push(file);
            }
            hash_map::Entry::Occupied(place) => {
                if let Some(known) = self.files.get_mut(*place.get()) {
                    *known = file;
                }
            }
        }
    }
}

struct PageReader<'p>(&'p mut Pages);

impl<'de> DeserializeSeed<'de> for PageReader<'_> {
    type Value = PageEnd;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<PageEnd, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageReader<'_> {
    type Value = PageEnd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of a listing")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PageEnd, A::Error> {
        let known = self.0.names();
        let (mut entries, mut next) = (None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "entries" => entries = Some(map.next_value_seed(EntriesReader(self.0))?),
                "page" => next = map.next_value::<Option<PageMark>>()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let entries = entries.ok_or_else(|| A::Error::missing_field("entries"))?;
        let new_names = self.0.names() - known;
        Ok(PageEnd {
            new_names,
            next: next.filter(|_| entries > 0),
        })
    }
}

struct EntriesReader<'p>(&'p mut Pages);

impl<'de> DeserializeSeed<'de> for EntriesReader<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<usize, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EntriesReader<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the entries of a listing")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(entry) = entries.next_element::<Entry<'de>>()? {
            count += 1;
            match entry {
                // A null stands for entries that the hub hides.
                Entry::Hidden => {}
                Entry::Nameless => drop(self.0.unusable.insert(String::new())),
                Entry::Named { name, stat } => self.0.insert(&name, stat),
            }
        }
        Ok(count)
    }
}

/// One entry: an object with `stat`, a bare name from a hub that does not know `stat`, or null.
enum Entry<'a> {
    Hidden,
    Nameless,
    Named { name: Cow<'a, str>, stat: Stat },
}

impl<'de> Deserialize<'de> for Entry<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Loose::deserialize(from)? {
            Loose::Null => Self::Hidden,
            Loose::Text(name) => Self::Named {
                name,
                stat: Stat::default(),
            },
            Loose::Object(entry) => entry,
            Loose::Number(_) | Loose::Other => Self::Nameless,
        })
    }
}

/// Any JSON value, as far as one in an entry means something.
enum Loose<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(u64),
    Object(Entry<'a>),
    Other,
}

impl<'a> Loose<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
            Self::Null | Self::Object(_) | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LooseReader)
    }
}

struct LooseReader;

impl<'de> Visitor<'de> for LooseReader {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Loose::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float to integer casts saturate"
    )]
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Loose::Number(number as u64))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut name, mut stat) = (None, Stat::default());
        while let Some(key) = map.next_key::<Field>()? {
            match key {
                Field::Name => name = map.next_value::<Loose<'de>>()?.text(),
                Field::Tag => {
                    let text = map.next_value::<Loose<'de>>()?.text();
                    stat.tag = text.as_deref().and_then(ETag::parse);
                }
                Field::Size => stat.size = map.next_value::<Loose<'de>>()?.number().unwrap_or(0),
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Loose::Object(match name {
            Some(name) => Entry::Named { name, stat },
            None => Entry::Nameless,
        }))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Field {
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "etag")]
    Tag,
    #[serde(rename = "contentLength")]
    Size,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::time::Instant;

    use super::*;
    use proptest::prelude::*;

    fn file(path: &str, tag: Option<ETag>, size: u64) -> HubFile {
        HubFile {
            path: FilePath::parse(path).unwrap(),
            tag,
            size,
        }
    }

    #[test]
    fn a_stock_page_is_read() {
        let mut pages = Pages::default();
        let end = pages.add(
            br#"{"entries":[{"exists":true,"etag":"d41d8cd98f00b204e9800998ecf8427e","contentLength":0,
            "contentType":"text/plain","lastModifiedDate":1600000000,"name":"a/\u00fc b"},null],"page":"1"}"#,
        );
        let next = Some(PageMark::Text("1".to_owned()));
        assert_eq!(end.unwrap(), PageEnd { new_names: 1, next });
        let files = vec![file("a/ü b", Some(ETag::of(b"")), 0)];
        assert_eq!(
            pages.into_listing(),
            HubListing {
                files,
                unusable: vec![]
            }
        );
    }

    #[test]
    fn what_is_missing_or_odd_spoils_its_entry_only() {
        let mut pages = Pages::default();
        let end = pages.add(
            br#"{"page":3,"more":{"x":[1]},"entries":["bare",{"name":"1","etag":null,"contentLength":"12"},
            {"name":"2","etag":"undefined","contentLength":3.0,"x":{"y":[]}},{"etag":"x"},5,true,[1,[2]],
            {"name":"a//b"},{"name":"../c"},{"name":7},{"name":"3","contentLength":-1}]}"#,
        );
        let next = Some(PageMark::Number(3));
        assert_eq!(end.unwrap(), PageEnd { new_names: 7, next });
        let listing = pages.into_listing();
        let sizes = [("bare", 0), ("1", 12), ("2", 3), ("3", 0)];
        assert_eq!(
            listing.files,
            sizes.map(|(path, size)| file(path, None, size))
        );
        assert_eq!(listing.unusable, ["", "../c", "a//b"]);
    }

    #[test]
    fn paths_are_told_once_and_the_last_word_counts() {
        let mut pages = Pages::default();
        let page = |etag: &str| {
            format!(r#"{{"entries":[{{"name":"a","etag":"{etag}"}}],"page":"n"}}"#).into_bytes()
        };
        assert_eq!(pages.add(&page("aa")).unwrap().new_names, 1);
        assert_eq!(pages.add(&page("bb")).unwrap().new_names, 0);
        assert_eq!(
            pages.into_listing().files,
            [file("a", ETag::parse("bb"), 0)]
        );
    }

    #[test]
    fn the_end_is_recognised() {
        for text in [
            r#"{"entries":[],"page":"9"}"#,
            r#"{"entries":[null],"page":null}"#,
        ] {
            assert_eq!(
                Pages::default().add(text.as_bytes()).unwrap().next,
                None,
                "{text}"
            );
        }
        let hidden = Pages::default()
            .add(br#"{"entries":[null],"page":"2"}"#)
            .unwrap();
        assert_eq!(hidden.next, Some(PageMark::Text("2".to_owned())));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for text in [
            "",
            "<html>",
            "[]",
            "null",
            "{}",
            r#"{"page":null}"#,
            r#"{"entries":null,"page":null}"#,
            r#"{"entries":{},"page":null}"#,
            r#"{"entries":[],"page":null} and more"#,
            r#"{"entries":[],"page":null"#,
            r#"{"entries":[{"name":"a"#,
        ] {
            assert!(Pages::default().add(text.as_bytes()).is_err(), "{text}");
        }
    }

    /// Only a release build is held to the limit.
    #[test]
    fn ten_thousand_entries_are_read_quickly() {
        let mut text = String::from(r#"{"entries":["#);
        for number in 0..10_000_u32 {
            let tag = ETag::of(&number.to_le_bytes());
            let comma = if number == 0 { "" } else { "," };
            write!(
                text,
                r#"{comma}{{"exists":true,"etag":"{tag}","contentLength":{number},"contentType":"application/json; charset=utf-8; enc=ecies; pangaea=\"1.{}\"","lastModifiedDate":1600000000,"name":"folder {}/an ordinary name {number}.txt"}}"#,
                "A".repeat(240),
                number % 97,
            )
            .unwrap();
        }
        text.push_str(r#"],"page":null}"#);
        let (mut fastest, mut files) = (u128::MAX, 0);
        for _ in 0..9 {
            let start = Instant::now();
            let mut pages = Pages::default();
            pages.add(text.as_bytes()).unwrap();
            files = pages.into_listing().files.len();
            fastest = fastest.min(start.elapsed().as_micros());
        }
        println!("10,000 entries, {} bytes: {fastest} µs", text.len());
        assert_eq!(files, 10_000);
        assert!(cfg!(debug_assertions) || fastest < 15_000, "{fastest} µs");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>, text in r#"[\[\]{}":,a-z0-9.eE+-]{0,60}"#) {
            prop_assert!(Pages::default().add(&bytes).is_err());
            let whole = format!(r#"{{"entries":[{text}],"page":null}}"#);
            let mut pages = Pages::default();
            if pages.add(whole.as_bytes()).is_ok() {
                let listing = pages.into_listing();
                prop_assert!(listing.files.len() + listing.unusable.len() <= 60);
            }
        }
    }
}
