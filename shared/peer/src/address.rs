//! What kind of network address an IP address is: pure rules, after IANA's special-purpose registries
//! (RFC 6890 and its updates).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// Reachable over the public internet.
    Public,
    /// This machine.
    Loopback,
    /// "This network", `0.0.0.0/8` and `::`: many systems connect it to themselves.
    Unspecified,
    /// A private network: RFC 1918, IPv6 unique local (ULA) and the deprecated site-local range.
    Private,
    /// Carrier-grade NAT, `100.64.0.0/10`.
    CarrierNat,
    /// Link-local; cloud metadata services live here.
    LinkLocal,
    /// A group of hosts.
    Multicast,
    /// Set aside for documentation.
    Documentation,
    /// Carries an IPv4 address inside it (NAT64, 6to4, Teredo, IPv4-compatible), so that it could lead anywhere.
    Transition,
    /// Benchmarking, protocol assignments, and ranges nobody may use yet.
    Reserved,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Unspecified => "unspecified",
            Self::Private => "private",
            Self::CarrierNat => "carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Documentation => "documentation",
            Self::Transition => "IPv4-in-IPv6 transition",
            Self::Reserved => "reserved",
        })
    }
}

/// IPv4 blocks that are not public: network, prefix length, kind. Blocks do not overlap, but for the
/// broadcast address inside the reserved block, which is judged alike.
const V4: &[(Ipv4Addr, u32, AddressKind)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, AddressKind::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, AddressKind::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, AddressKind::CarrierNat),
    (Ipv4Addr::new(127, 0, 0, 0), 8, AddressKind::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, AddressKind::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, AddressKind::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, AddressKind::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, AddressKind::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, AddressKind::Transition),
    (Ipv4Addr::new(192, 168, 0, 0), 16, AddressKind::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, AddressKind::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, AddressKind::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, AddressKind::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, AddressKind::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, AddressKind::Reserved),
];

/// IPv6 blocks with a meaning of their own; the first match counts. What matches none is public inside
/// `2000::/3`, the only range IANA allocates from, and reserved outside it.
const V6: &[(Ipv6Addr, u32, AddressKind)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, AddressKind::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, AddressKind::Loopback),
    // IPv4-compatible (::a.b.c.d), deprecated, and the translated form of RFC 2765 (::ffff:0:a.b.c.d).
    (Ipv6Addr::UNSPECIFIED, 96, AddressKind::Transition),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96, AddressKind::Transition),
    // NAT64: the well-known prefix and the one for local use.
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, AddressKind::Transition),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, AddressKind::Transition),
    // Teredo, then the rest of the protocol assignments.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, AddressKind::Transition),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, AddressKind::Reserved),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, AddressKind::Documentation),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, AddressKind::Transition),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, AddressKind::Documentation),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, AddressKind::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, AddressKind::LinkLocal),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, AddressKind::Private),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, AddressKind::Multicast),
];

const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The kind of `address`. An IPv4-mapped address (`::ffff:a.b.c.d`) is judged as the IPv4 address it stands for,
/// because the system connects to that.
#[must_use]
pub fn address_kind(address: IpAddr) -> AddressKind {
    match address.to_canonical() {
        IpAddr::V4(v4) => V4
            .iter()
            .find(|(network, length, _)| in_v4(v4, *network, *length))
            .map_or(AddressKind::Public, |(_, _, kind)| *kind),
        IpAddr::V6(v6) => V6.iter().find(|(network, length, _)| in_v6(v6, *network, *length)).map_or_else(
            || match in_v6(v6, GLOBAL_UNICAST.0, GLOBAL_UNICAST.1) {
                true => AddressKind::Public,
                false => AddressKind::Reserved,
            },
            |(_, _, kind)| *kind,
        ),
    }
}

fn in_v4(address: Ipv4Addr, network: Ipv4Addr, length: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
}

fn in_v6(address: Ipv6Addr, network: Ipv6Addr, length: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(text: &str) -> AddressKind {
        address_kind(text.parse().unwrap())
    }

    #[test]
    fn ipv4_blocks_begin_and_end_where_the_registry_says() {
        use AddressKind::*;
        for (first, last, expected) in [
            ("0.0.0.0", "0.255.255.255", Unspecified),
            ("10.0.0.0", "10.255.255.255", Private),
            ("100.64.0.0", "100.127.255.255", CarrierNat),
            ("127.0.0.0", "127.255.255.255", Loopback),
            ("169.254.0.0", "169.254.255.255", LinkLocal),
            ("172.16.0.0", "172.31.255.255", Private),
            ("192.0.0.0", "192.0.0.255", Reserved),
            ("192.0.2.0", "192.0.2.255", Documentation),
            ("192.88.99.0", "192.88.99.255", Transition),
            ("192.168.0.0", "192.168.255.255", Private),
            ("198.18.0.0", "198.19.255.255", Reserved),
            ("198.51.100.0", "198.51.100.255", Documentation),
            ("203.0.113.0", "203.0.113.255", Documentation),
            ("224.0.0.0", "239.255.255.255", Multicast),
            ("240.0.0.0", "255.255.255.255", Reserved),
        ] {
            assert_eq!(kind(first), expected, "{first}");
            assert_eq!(kind(last), expected, "{last}");
            let before: Ipv4Addr = first.parse().unwrap();
            if let Some(before) = before.to_bits().checked_sub(1).map(Ipv4Addr::from_bits) {
                assert_ne!(address_kind(before.into()), expected, "{before}");
            }
            let after: Ipv4Addr = last.parse().unwrap();
            if let Some(after) = after.to_bits().checked_add(1).map(Ipv4Addr::from_bits) {
                assert_ne!(address_kind(after.into()), expected, "{after}");
            }
        }
    }

    #[test]
    fn public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(kind(text), AddressKind::Public, "{text}");
        }
    }

    #[test]
    fn ipv6_forms_that_lead_inwards_are_recognised() {
        use AddressKind::*;
        for (text, expected) in [
            ("::", Unspecified),
            ("::1", Loopback),
            ("::2", Transition),
            ("::127.0.0.1", Transition),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:a9fe:a9fe", LinkLocal),
            ("::ffff:0:10.0.0.1", Transition),
            ("64:ff9b::10.0.0.1", Transition),
            ("64:ff9b:1::1", Transition),
            ("100::1", Reserved),
            ("2001::1", Transition),
            ("2001:2::1", Reserved),
            ("2001:1ff:ffff::1", Reserved),
            ("2001:db8::1", Documentation),
            ("2002:7f00:1::", Transition),
            ("3fff::1", Documentation),
            ("4000::1", Reserved),
            ("5f00::1", Reserved),
            ("fc00::1", Private),
            ("fd00:ec2::254", Private),
            ("fe80::1", LinkLocal),
            ("febf:ffff::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Multicast),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_mapped_address_gets_the_verdict_of_the_ipv4_address(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(
                address_kind(v4.to_ipv6_mapped().into()),
                address_kind(v4.into())
            );
        }

        #[test]
        fn no_other_form_that_embeds_an_inner_ipv4_address_is_public(bits: u32, last: u32) {
            let [high, low] = [(bits >> 16) as u16, bits as u16];
            let tail = [(last >> 16) as u16, last as u16];
            for address in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, high, low, 0, tail[0], tail[1]),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, tail[0], tail[1]),
                Ipv6Addr::new(0x2001, 0, tail[0], tail[1], 0, 0, !high, !low),
            ] {
                prop_assert_ne!(address_kind(address.into()), AddressKind::Public, "{}", address);
            }
        }
    }
}
