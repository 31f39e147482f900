package outbound

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Check reads a URL from outside and says what is against it, as far as that
// can be said before DNS. Use it where a URL is registered; a client of Client
// does it by itself. What it refuses, some reader of URLs takes for another
// host than we would (RFC 3986, WHATWG URL).
func (g *Guard) Check(raw string) (*url.URL, error) {
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return nil, refuse(BadForm, "the URL has blanks, backslashes or characters beyond ASCII; a name beyond ASCII is written in punycode (xn--)")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, refuse(BadForm, "the URL cannot be read") // its words would quote the URL
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, refuse(BadScheme, "the URL must begin with https://")
	case u.Scheme == "http" && !g.http:
		return nil, refuse(BadScheme, "the URL must begin with https:// (--outbound-http / OVERREAD_OUTBOUND_HTTP allows http:// to what --outbound-allow lists)")
	case u.Opaque != "" || u.Host == "":
		return nil, refuse(BadForm, "the URL names no host")
	case u.User != nil:
		return nil, refuse(BadForm, "the URL has a user name or password; secrets come from files")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, refuse(BadForm, "the URL has a fragment")
	case strings.HasSuffix(u.Host, ":"):
		return nil, refuse(BadForm, "the URL has a colon without a port")
	}
	if text := u.Port(); text != "" {
		if _, ok := parsePort(text); !ok {
			return nil, refuse(BadForm, "the URL's port is none")
		}
	}
	ip, err := readHost(u)
	if err != nil {
		return nil, err
	}
	if ip.IsValid() {
		return u, g.judge(u.Hostname(), ip, portOf(u), u.Scheme == "http")
	}
	if len(g.only) > 0 && !g.only.mayBe(u.Hostname(), portOf(u)) {
		return nil, refuse(NotListed, "%s is not among what --outbound-only / OVERREAD_OUTBOUND_ONLY lists", u.Hostname())
	}
	return u, nil
}

// WellFormed refuses a URL that no setting could allow, when it is registered.
func WellFormed(raw string) error {
	_, err := (&Guard{ports: DefaultPorts, http: true}).Check(raw)
	refusal := Refused(err)
	if refusal != nil && (refusal.Reason == BadForm || !webAddress.MatchString(raw)) {
		return errors.New(refusal.Text)
	}
	return nil
}

var webAddress = regexp.MustCompile(`(?i)^https?:`)

// Needs says what an operator has to allow before a URL that has the form of one
// is reached, as far as that can be said before DNS; nothing for most.
func Needs(raw string) (settings []string) {
	plain := &Guard{ports: DefaultPorts, http: true}
	u, err := plain.Check(raw)
	if refusal := Refused(err); refusal != nil && refusal.Reason != BadScheme {
		settings = append(settings, refusal.Text)
	}
	if _, err := (&Guard{ports: DefaultPorts}).Check(raw); Refused(err) != nil && Refused(err).Reason == BadScheme {
		settings = append(settings, Refused(err).Text)
	}
	if u != nil && ofTheHouse(u.Hostname()) {
		settings = append(settings, u.Hostname()+" is no name of the public web; list it: --outbound-allow / OVERREAD_OUTBOUND_ALLOW")
	}
	return settings
}

// readHost returns the address where the host is one, and nothing where it is
// a name as DNS knows them.
func readHost(u *url.URL) (netip.Addr, error) {
	host := u.Hostname()
	if strings.HasPrefix(u.Host, "[") {
		ip, err := netip.ParseAddr(host)
		if err != nil || !ip.Is6() || ip.Zone() != "" || ip.Is4In6() {
			return ip, refuse(BadForm, "the URL's host is no plain IPv6 address")
		}
		return ip, nil
	}
	if endsInNumber(host) { // WHATWG URL, "ends in a number checker"
		ip, err := netip.ParseAddr(host)
		if err != nil || !ip.Is4() {
			return ip, refuse(BadForm, "an IPv4 address is written as four decimal numbers without leading zeros")
		}
		return ip, nil
	}
	if !isName(host) {
		return netip.Addr{}, refuse(BadForm, "the URL's host is no name as DNS knows them: letters, digits and hyphens between single dots, none at the end")
	}
	return netip.Addr{}, nil
}

// endsInNumber tells of 127.1, 2130706433, 0x7f.0.0.1, 0177.0.0.1 and the like,
// which C libraries and browsers take for addresses.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok && strings.Trim(hex, "0123456789abcdef") == "" {
		return true
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// isName tells whether the host is a name after RFC 1123 section 2.1.
func isName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}

// portOf is the port of a URL that Check has read.
func portOf(u *url.URL) uint16 {
	if text := u.Port(); text != "" {
		port, _ := parsePort(text)
		return port
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

func (g *Guard) open(port uint16) bool { return slices.Contains(g.ports, port) }
