//! Where a request comes from: the other end of its connection, or, if that is a proxy that is
//! trusted, whatever the proxy says.

use std::net::{IpAddr, SocketAddr};

use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

/// The header with the addresses that a request passed through. Past this module it is gone.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header with the scheme of the URL that a client asked for. Past this module it is there
/// only if it is true.
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The address of the client that sent a request; an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Whether an address belongs to a proxy that is trusted.
pub(super) fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    proxies.iter().any(|net| net.contains(&address))
}

/// Finds the client behind a peer, and leaves only those forwarding headers that are believed.
pub(super) fn settle(
    headers: &mut HeaderMap,
    peer: IpAddr,
    proxies: &[IpNet],
    own_scheme: &'static str,
) -> ClientAddress {
    if !is_trusted(peer, proxies) {
        headers.remove(FORWARDED_FOR);
        headers.remove(FORWARDED_PROTO);
        return ClientAddress(peer);
    }
    let client = client_behind(headers, peer, proxies);
    let scheme = match headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes) {
        Some(b"https") => "https",
        Some(b"http") => "http",
        Some(_) | None => own_scheme,
    };
    headers.remove(FORWARDED_FOR);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    ClientAddress(client)
}

/// The last address that no trusted proxy has: every one before it may be made up.
fn client_behind(headers: &HeaderMap, peer: IpAddr, proxies: &[IpNet]) -> IpAddr {
    let mut client = peer;
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = address(text.trim()) else {
            break;
        };
        client = address;
        if !is_trusted(client, proxies) {
            break;
        }
    }
    client
}

/// An address as proxies write it: some add the port.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    plain.or_else(with_port).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let proxies = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let found = settle(&mut headers, peer.parse().unwrap(), &proxies, "http");
        assert!(headers.get(FORWARDED_FOR).is_none());
        found.0.to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        // What stands before an address that is not trusted was sent by it.
        for lines in [
            &["1.1.1.1, 198.51.100.7, 10.0.0.9"][..],
            &["1.1.1.1, 198.51.100.7", "10.0.0.9"],
            &["nonsense, 198.51.100.7:4711", " fd00::1"],
        ] {
            assert_eq!(client("10.0.0.1", lines), "198.51.100.7");
        }
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["::ffff:192.0.2.9"]), "192.0.2.9");
        assert_eq!(
            client("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.3"]),
            "10.0.0.3"
        );
    }

    #[test]
    fn the_scheme_is_there_only_if_it_is_true() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let scheme = |peer: &str, sent: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(FORWARDED_PROTO, HeaderValue::from_static(sent));
            }
            settle(&mut headers, peer.parse().unwrap(), &proxies, "http");
            let value = headers.get(FORWARDED_PROTO);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(scheme("192.0.2.1", Some("https")), None);
        assert_eq!(scheme("10.0.0.1", Some("https")), Some("https".into()));
        assert_eq!(scheme("10.0.0.1", Some("gopher")), Some("http".into()));
        assert_eq!(scheme("10.0.0.1", None), Some("http".into()));
    }
}
