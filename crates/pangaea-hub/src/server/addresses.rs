//! How many connections each client address has.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bits of an IPv6 address that belong to a network rather than to a device: whoever has one
/// address has all of its network.
const NETWORK_BITS: u128 = !0 << 64;

/// Counts of connections. Only addresses that have one take room.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    counts: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A counted connection; dropped, it counts no more.
#[derive(Debug)]
pub(super) struct Counted {
    addresses: Arc<Addresses>,
    of: IpAddr,
}

impl Addresses {
    /// Counts one more connection of an address, unless there are `max` already.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Counted> {
        let of = network(address);
        let mut counts = self.counts();
        let count = counts.entry(of).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Counted {
            addresses: Arc::clone(self),
            of,
        })
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts();
        if let Some(count) = counts.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.of);
            }
        }
    }
}

/// The address of whoever has this one: of IPv6, the network.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK_BITS).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_counts_as_one_and_what_ends_makes_room() {
        let addresses = Arc::new(Addresses::default());
        let admit = |text: &str| addresses.admit(text.parse().unwrap(), 2);
        let first = admit("2001:db8::1");
        let second = admit("2001:db8::ffff");
        assert!(first.is_some() && second.is_some());
        assert!(admit("2001:db8::2").is_none());
        assert!(admit("2001:db8:0:1::2").is_some());
        assert!(admit("192.0.2.1").is_some());
        drop(first);
        assert!(admit("2001:db8::2").is_some());
        drop(second);
        assert!(addresses.counts().is_empty());
    }
}
