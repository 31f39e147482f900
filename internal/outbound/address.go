package outbound

import "net/netip"

// special is a range of addresses where nothing of the public web is.
type special struct {
	prefix netip.Prefix
	why    string
	byHost bool // reachable by listing a host's name; else only by the address
}

func row(prefix, why string, byHost bool) special {
	return special{netip.MustParsePrefix(prefix), why, byHost}
}

// specials is the table of what no stranger may send us to: the IANA
// registries of special-purpose addresses (RFC 6890) as of 2026, metadata
// services of clouds, and IPv6 addresses that carry an IPv4 address, which may
// come out anywhere. The first row that holds an address is its row.
var specials = []special{
	row("169.254.169.254/32", "a cloud's metadata service", false),
	row("169.254.170.2/32", "a cloud's metadata service", false),
	row("100.100.100.200/32", "a cloud's metadata service", false),
	row("168.63.129.16/32", "a cloud's metadata service", false),
	row("192.0.0.192/32", "a cloud's metadata service", false),
	row("fd00:ec2::/32", "a cloud's metadata service", false),
	row("fd20:ce::254/128", "a cloud's metadata service", false),

	row("0.0.0.0/8", "this network (RFC 791)", false),
	row("10.0.0.0/8", "a private address (RFC 1918)", true),
	row("100.64.0.0/10", "a provider's inner address (RFC 6598)", true),
	row("127.0.0.0/8", "this machine (RFC 1122)", true),
	row("169.254.0.0/16", "a link-local address (RFC 3927)", false),
	row("172.16.0.0/12", "a private address (RFC 1918)", true),
	row("192.0.0.0/24", "a protocol's own address (RFC 6890)", false),
	row("192.0.2.0/24", "an address for documentation (RFC 5737)", false),
	row("192.88.99.0/24", "a 6to4 relay (RFC 7526)", false),
	row("192.168.0.0/16", "a private address (RFC 1918)", true),
	row("198.18.0.0/15", "an address for benchmarks (RFC 2544)", false),
	row("198.51.100.0/24", "an address for documentation (RFC 5737)", false),
	row("203.0.113.0/24", "an address for documentation (RFC 5737)", false),
	row("224.0.0.0/4", "a multicast address (RFC 5771)", false),
	row("240.0.0.0/4", "a reserved or broadcast address (RFC 1112)", false),

	row("::/128", "no address (RFC 4291)", false),
	row("::1/128", "this machine (RFC 4291)", true),
	row("fc00::/7", "a private address (RFC 4193)", true),
	row("fe80::/10", "a link-local address (RFC 4291)", false),
	row("fec0::/10", "a site-local address (RFC 3879)", false),
	row("ff00::/8", "a multicast address (RFC 4291)", false),
	row("::/96", "an IPv4 address in IPv6 (RFC 4291)", false),
	row("64:ff9b::/96", "an IPv4 address in IPv6 (NAT64, RFC 6052)", false),
	row("64:ff9b:1::/48", "an IPv4 address in IPv6 (NAT64, RFC 8215)", false),
	row("::ffff:0:0:0/96", "an IPv4 address in IPv6 (SIIT, RFC 2765)", false),
	row("2001::/32", "an IPv4 address in IPv6 (Teredo, RFC 4380)", false),
	row("2001::/23", "a protocol's own address (RFC 2928)", false),
	row("2001:db8::/32", "an address for documentation (RFC 3849)", false),
	row("2002::/16", "an IPv4 address in IPv6 (6to4, RFC 3056)", false),
	row("3fff::/20", "an address for documentation (RFC 9637)", false),
	row("2000::/3", "", false), // the global ones
	row("::/0", "not a global address (RFC 4291)", false),
}

// whySpecial is the row of an address, nil for a public one.
func whySpecial(ip netip.Addr) *special {
	ip = ip.Unmap().WithZone("")
	for i := range specials {
		if !specials[i].prefix.Contains(ip) {
			continue
		}
		if specials[i].why == "" {
			return isatap(ip)
		}
		return &specials[i]
	}
	return nil
}

// isatap is the row of an address that carries an IPv4 address in its lower
// half, RFC 5214 section 6.1.
func isatap(ip netip.Addr) *special {
	b := ip.As16()
	if b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return &special{why: "an IPv4 address in IPv6 (ISATAP, RFC 5214)"}
	}
	return nil
}
