package fhir

import (
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// What the scopes of a token allow, besides what the role of its actor may. It is
// decided on what was asked for, as it was understood, and never on what was
// found: an address by its route (inScope), each entry of a Bundle, each type
// that a search or a condition goes over (mayAsk). What is asked for by name and
// not covered is refused; what would only have come along is left out.

// permissionOf is what each interaction with a type needs: SMART App Launch 2.2
// scopes-and-launch-context.html. With update, a PUT may create.
var permissionOf = map[string]access.Permission{
	"read": access.Read, "vread": access.Read, "history-instance": access.Read,
	"search-type": access.Search, "history-type": access.Search,
	"create": access.Create, "update": access.Update, "patch": access.Update, "delete": access.Delete,
}

// anyPermission is for what tells nothing of what is stored.
var anyPermission = []access.Permission{access.Create, access.Read, access.Update, access.Delete, access.Search}

// taskOperationPath is the route of the operations on a case.
const taskOperationPath = "/fhir/Task/:id/:operation"

// inScope refuses a route that is of one type and needs a permission for it that
// the token does not give. A type that is not served is told so by its handler.
func (s *Server) inScope(c echo.Context, r route, actor access.Actor) error {
	if r.path == taskOperationPath {
		return covered(actor, "Task", access.Update)
	}
	i := slices.IndexFunc(interactions, func(i interaction) bool { return i.method == r.method && i.path == r.path && i.ofType() })
	row := s.resources[c.Param("type")]
	if i < 0 || row == nil || !row.allows(interactions[i].code) {
		return nil // its handler says what there is
	}
	if err := s.mayRead(actor, row); err != nil {
		return err
	}
	if needed, ok := permissionOf[interactions[i].code]; ok {
		return covered(actor, row.name, needed)
	}
	return nil
}

// covered refuses what the scopes of the token do not have: all of the needed
// permissions for the type.
func covered(actor access.Actor, typ string, needed ...access.Permission) error {
	for _, do := range needed {
		if !actor.May(typ, do) {
			return beyond(typ, string(do))
		}
	}
	return nil
}

func beyond(typ, letters string) error {
	return fault.New(fault.Forbidden, "the scopes of this token do not cover this: it needs system/%s.%s", typ, letters)
}

// needs are the permissions for a service at its address, which is of a type or
// of the system. What else it gives is left out where it is not covered.
func (v service) needs(c echo.Context, actor access.Actor) error {
	typ := typeOfPath(c)
	if strings.HasPrefix(typ, "$") {
		return nil // by the types that it gives
	}
	return covered(actor, typ, v.scope...)
}

// exported are those of the types that an export may give to the actor: an export
// finds and reads. A type that was asked for by name and is not covered is refused.
func exported(actor access.Actor, types, asked []string) ([]string, error) {
	for _, typ := range asked {
		if slices.Contains(types, typ) && !mayExport(actor, typ) {
			return nil, beyond(typ, "rs")
		}
	}
	types = slices.DeleteFunc(types, func(typ string) bool { return !mayExport(actor, typ) })
	if len(types) == 0 {
		return nil, beyond("*", "rs")
	}
	return types, nil
}

func mayExport(actor access.Actor, typ string) bool {
	return actor.May(typ, access.Read) && actor.May(typ, access.Search)
}

// readableTypes leaves those of the types that the actor's scopes let read.
func readableTypes(actor access.Actor, types []string) []string {
	return slices.DeleteFunc(types, func(typ string) bool { return !actor.May(typ, access.Read) })
}
