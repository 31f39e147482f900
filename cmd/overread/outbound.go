package main

import (
	"fmt"

	"github.com/overread/overread/internal/outbound"
)

// outboundFlags say where this program may go. Without any of them it goes to
// public addresses over https.
type outboundFlags struct {
	Allow []string `name:"outbound-allow" env:"OVERREAD_OUTBOUND_ALLOW" placeholder:"HOST|CIDR" help:"What may be reached although it is no public address, e.g. an EHR in your own network: HOST, HOST:PORT, *.DOMAIN, an address or a CIDR. May be given several times."`
	Only  []string `name:"outbound-only" env:"OVERREAD_OUTBOUND_ONLY" placeholder:"HOST|CIDR" help:"Nothing but these may be reached: written as in --outbound-allow, which still has to list what is no public address."`
	Port  []uint16 `name:"outbound-port" env:"OVERREAD_OUTBOUND_PORT" default:"443,8443,9443" placeholder:"PORT" help:"Ports of public addresses that may be reached; what --outbound-allow lists may be at any."`
	HTTP  bool     `name:"outbound-http" env:"OVERREAD_OUTBOUND_HTTP" help:"Allow http:// to what --outbound-allow lists. Patient data then cross that network in the clear."`
	Proxy bool     `name:"outbound-proxy" env:"OVERREAD_OUTBOUND_PROXY" help:"Use the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name. The proxy then has to keep requests from inner addresses."`
}

// guard is the guard of these settings.
func (f outboundFlags) guard() (*outbound.Guard, error) {
	_, wrong := outbound.New(outbound.Settings{Allow: f.Allow})
	if wrong != nil {
		return nil, badSetting("outbound-allow", "%w", wrong)
	}
	g, err := outbound.New(outbound.Settings{Allow: f.Allow, Only: f.Only, Ports: f.Port, HTTP: f.HTTP, Proxy: f.Proxy})
	if err != nil {
		return nil, badSetting("outbound-only", "%w", err)
	}
	return g, nil
}

// tellNeeds says which settings of serve a URL needs that was registered.
func (t terminal) tellNeeds(url string) {
	for _, need := range outbound.Needs(url) {
		_, _ = fmt.Fprintf(t.stderr, "note: as serve is set by itself, %s is not reached: %s\n", url, need)
	}
}
