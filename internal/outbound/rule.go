package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// rule is one entry of an operator's list: a host, the hosts of a domain, or
// addresses; of one port, or of all (0).
type rule struct {
	name   string // in small letters; ".domain" for all hosts below it
	prefix netip.Prefix
	port   uint16
}

type rules []rule

func readRules(texts []string) (rules, error) {
	var all rules
	for _, text := range texts {
		r, err := readRule(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func readRule(text string) (r rule, err error) {
	if r.prefix, err = netip.ParsePrefix(text); err == nil {
		if r.prefix.Addr().Is4In6() {
			return r, fmt.Errorf("%q: write the IPv4 network itself", text)
		}
		r.prefix = r.prefix.Masked()
		return r, nil
	}
	host := text
	if name, port, err := net.SplitHostPort(text); err == nil {
		var ok bool
		if r.port, ok = parsePort(port); !ok {
			return r, fmt.Errorf("%q has no port after its colon", text)
		}
		host = name
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		r.prefix = netip.PrefixFrom(ip, ip.BitLen())
		return r, nil
	}
	host = strings.ToLower(host)
	name := strings.TrimPrefix(host, "*.")
	if !isName(name) || endsInNumber(name) {
		return r, fmt.Errorf("%q is no host name, *.domain, address or CIDR, with or without :port", text)
	}
	r.name = name
	if name != host {
		r.name = "." + name
	}
	return r, nil
}

// host tells whether a rule names this host.
func (all rules) host(host string, port uint16) bool {
	host = strings.ToLower(host)
	for _, r := range all {
		if r.name == "" || r.port != 0 && r.port != port {
			continue
		}
		if host == r.name || r.name[0] == '.' && strings.HasSuffix(host, r.name) {
			return true
		}
	}
	return false
}

// address tells whether a rule has this address.
func (all rules) address(ip netip.Addr, port uint16) bool {
	ip = ip.Unmap().WithZone("")
	for _, r := range all {
		if r.name == "" && (r.port == 0 || r.port == port) && r.prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// mayBe tells whether a host could fit, once its addresses are known.
func (all rules) mayBe(host string, port uint16) bool {
	for _, r := range all {
		if r.name == "" {
			return true
		}
	}
	return all.host(host, port)
}

// ofTheHouse tells of names that no public DNS has (RFC 6761, 6762, 8375).
func ofTheHouse(host string) bool {
	host = "." + strings.ToLower(host)
	for _, suffix := range []string{".localhost", ".local", ".localdomain", ".internal", ".intranet", ".lan", ".corp", ".home", ".home.arpa", ".onion", ".invalid", ".test"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
