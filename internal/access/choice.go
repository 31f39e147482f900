package access

import (
	"net/http"
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
)

// The headers by which a request of somebody who works at several tenants, or in
// several roles, says which one it means.
const (
	TenantHeader = "Overread-Tenant" // the short name of the tenant
	RoleHeader   = "Overread-Role"
)

// Place is what somebody may be at a tenant.
type Place struct {
	Actor

	TenantName    string // the short one
	TenantDisplay string
	Suspended     bool // the tenant is not at work
}

// Choice is which of their places a request means; what is "" it leaves open.
type Choice struct {
	Tenant string
	Role   Role
}

// ChoiceOf reads the headers of a request.
func ChoiceOf(r *http.Request) Choice {
	return Choice{r.Header.Get(TenantHeader), Role(r.Header.Get(RoleHeader))}
}

// Of is the place that is meant. It refuses (Forbidden) one that is not among
// them, (Required) to guess where several are left, and (Suspended) one that is
// not at work.
func (c Choice) Of(places []Place) (Actor, error) {
	meant := slices.DeleteFunc(slices.Clone(places), func(p Place) bool {
		return c.Tenant != "" && c.Tenant != p.TenantName || c.Role != "" && c.Role != p.Role
	})
	switch len(meant) {
	case 1:
		if meant[0].Suspended {
			return Actor{}, Suspended()
		}
		return meant[0].Actor, nil
	case 0:
		if len(places) == 0 {
			return Actor{}, fault.New(fault.Forbidden, "you have no role at any tenant any more; ask the operator")
		}
		return Actor{}, fault.New(fault.Forbidden, "you have no such role there; yours are: %s", names(places))
	}
	return Actor{}, fault.New(fault.Required, "you work in several places, and this request does not say which one it means: send the headers %s and %s; yours are: %s", TenantHeader, RoleHeader, names(meant))
}

// names are places as a client may read them, each once.
func names(places []Place) string {
	var all []string
	for _, p := range places {
		all = append(all, p.TenantName+" "+string(p.Role))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// Bearer is the token of a request. Two Authorization headers are none: whoever
// stands before us may have judged the other one.
func Bearer(r *http.Request) (string, error) {
	sent := r.Header.Values("Authorization")
	scheme, token, _ := strings.Cut(strings.Join(sent, ""), " ")
	token = strings.Trim(token, " ")
	if len(sent) != 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 512 {
		return "", fault.New(fault.Unauthenticated, "send a bearer token: Authorization: Bearer ...")
	}
	return token, nil
}
