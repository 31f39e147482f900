package fhir

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// instanceHistory is GET /fhir/{type}/{id}/_history, FHIR R4 http.html#history.
func (s *Server) instanceHistory(c echo.Context, actor access.Actor) error {
	row, err := s.rowFor(c, "history-instance")
	if err != nil {
		return err
	}
	if !idPattern.MatchString(c.Param("id")) {
		return notFound()
	}
	return s.replyHistory(c, actor, &history{address: row.name + "/" + c.Param("id"), types: []string{row.name}, id: c.Param("id")})
}

// typeHistory is GET /fhir/{type}/_history.
func (s *Server) typeHistory(c echo.Context, actor access.Actor) error {
	row, err := s.rowFor(c, "history-type")
	if err != nil {
		return err
	}
	return s.replyHistory(c, actor, &history{address: row.name, types: []string{row.name}})
}

// systemHistory is GET /fhir/_history: of all types that have a history.
func (s *Server) systemHistory(c echo.Context, actor access.Actor) error {
	h := &history{}
	for _, name := range s.typeNames {
		if row := s.resources[name]; row.allows("history-type") && row.isFor(actor.Role) && actor.May(name, access.Search) {
			h.types = append(h.types, name)
		}
	}
	if h.types == nil {
		return beyond("*", "s")
	}
	return s.replyHistory(c, actor, h)
}

// history is what is asked of the versions of resources.
type history struct {
	address string   // below the base, "" for the system
	types   []string // of which
	id      string   // of one only
	count   int
	since   *time.Time
	at      *interval // current at some moment of it
	after   *version  // the last of the page before
	used    url.Values
}

// version is the place of a version in a history, newest first. Versions never
// change and new ones come before, so a walk from page to page meets each once.
type version struct {
	updated time.Time
	typ, id string
	number  int64
}

func (v version) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d/%s/%s/%d", v.updated.UnixMicro(), v.typ, v.id, v.number))
}

func parseVersion(text string) (*version, error) {
	refusal := fault.New(fault.Value, "_after must come from the next link of a page")
	b, err := base64.RawURLEncoding.DecodeString(text)
	parts := strings.Split(string(b), "/")
	if err != nil || len(parts) != 4 || !typePattern.MatchString(parts[1]) || !idPattern.MatchString(parts[2]) {
		return nil, refusal
	}
	micros, err := strconv.ParseInt(parts[0], 10, 64)
	number, err2 := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || err2 != nil || micros < 0 || micros > 1<<56 {
		return nil, refusal
	}
	return &version{time.UnixMicro(micros).UTC(), parts[1], parts[2], number}, nil
}

// historyParams are the parameters of a history, FHIR R4 http.html#history.
var historyParams = map[string]func(h *history, value string) error{
	"_count": func(h *history, value string) (err error) {
		if h.count, err = strconv.Atoi(value); err != nil || h.count < 1 {
			return fault.New(fault.Value, "_count must be a number from 1")
		}
		h.count = min(h.count, maxCount)
		return nil
	},
	"_since": func(h *history, value string) error {
		at, err := time.Parse(time.RFC3339, strings.ReplaceAll(value, " ", "+")) // a + that was not escaped
		if err != nil {
			return fault.New(fault.Value, "_since must be an instant such as 2026-01-31T09:30:00Z")
		}
		h.since = &at
		return nil
	},
	"_at": func(h *history, value string) error {
		span, ok := parseInterval(strings.ReplaceAll(value, " ", "+"))
		if !ok {
			return fault.New(fault.Value, "_at must be a date or a time, such as 2026-01-31 or 2026-01-31T09:30:00Z")
		}
		h.at = &span
		return nil
	},
	"_after": func(h *history, value string) (err error) {
		h.after, err = parseVersion(value)
		return err
	},
	"_format": func(*history, string) error { return nil }, // admit has looked at it
	"_pretty": func(*history, string) error { return nil },
}

func (s *Server) replyHistory(c echo.Context, actor access.Actor, h *history) error {
	if err := h.read(c); err != nil {
		return err
	}
	ctx := c.Request().Context()
	page, err := inTenant(ctx, s, actor, func(tx pgx.Tx) ([]Stored, error) {
		found, err := h.inside(ctx, tx, actor)
		if err == nil && h.id != "" && len(found) == 0 {
			// Nothing in this time, or nothing at all?
			if _, err = s.store.Visible(ctx, tx, actor, h.types[0], h.id); fault.Is(err, fault.Gone) {
				err = nil
			}
		}
		for i := range found {
			if err == nil {
				found[i], err = redacted(actor, found[i])
			}
		}
		return found, err
	})
	if err != nil {
		return err
	}
	interaction := map[bool]string{true: "history-instance", false: "history-type"}[h.id != ""]
	if h.address == "" {
		interaction = "history-system"
	}
	note(c, auditEntry{Interaction: interaction, Patients: patientsIn(page[:min(len(page), h.count)]), Query: asText(c, nil)})
	return write(c, http.StatusOK, s.historyBundle(h, page))
}

// read takes the parameters. Unknown ones are refused, or left out where the
// client is lenient, as in a search.
func (h *history) read(c echo.Context) error {
	h.count, h.used = defaultCount, url.Values{}
	for _, name := range slices.Sorted(maps.Keys(c.QueryParams())) {
		set, known := historyParams[name]
		if !known && prefers(c, "handling=lenient") {
			continue
		}
		if !known {
			return fault.New(fault.NotSupported, "a history takes the parameters _count, _since, _at and _format (or send Prefer: handling=lenient)")
		}
		for _, value := range c.QueryParams()[name] {
			if err := set(h, value); err != nil {
				return err
			}
			h.used.Add(name, value)
		}
	}
	return nil
}

// does is what a history needs of its types.
func (h *history) does() access.Permission {
	if h.id != "" {
		return access.Read
	}
	return access.Search
}

// inside is find for an actor with a fence: versions that were outside are left
// out, and the page is filled with those that come after them.
func (h *history) inside(ctx context.Context, tx pgx.Tx, actor access.Actor) ([]Stored, error) {
	f := fenceOf(actor, h.does())
	if f == nil {
		return h.find(ctx, tx, actor)
	}
	var kept []Stored
	for next := *h; ; {
		found, err := next.find(ctx, tx, actor)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if len(kept) <= h.count && f.admitsBody(r.Body) {
				kept = append(kept, r)
			}
		}
		if len(found) <= h.count || len(kept) > h.count {
			return kept, nil
		}
		last := found[len(found)-1]
		next.after = &version{last.LastUpdated, last.Type, last.ID, last.Version}
	}
}

// find finds the versions of a page, and one more to know whether there is a
// next page. Each type has its part of the indexes, so each is asked by itself.
func (h *history) find(ctx context.Context, tx pgx.Tx, actor access.Actor) ([]Stored, error) {
	b := h.where(actor)
	part := func(table string) string {
		return `(
				SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.body
				FROM ` + table + ` r
				WHERE r.type = t.type` + b.conditions() + `
				ORDER BY r.last_updated DESC, r.id DESC, r.version DESC
				LIMIT @limit)`
	}
	rows, err := tx.Query(ctx, `
		SELECT v.type, v.id, v.version, v.last_updated, v.deleted, v.body
		FROM unnest(@types::text[]) AS t (type), LATERAL (
			`+part("resource_search")+`
			UNION ALL
			`+part("history_search")+`) v
		ORDER BY v.last_updated DESC, v.type DESC, v.id DESC, v.version DESC
		LIMIT @limit`, b.args)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	found, err := readPage[Stored](rows)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return found, nil
}

// where are the conditions on a version r.
func (h *history) where(actor access.Actor) *sqlBuilder {
	b := &sqlBuilder{args: pgx.NamedArgs{"types": h.types, "limit": h.count + 1}}
	and := func(condition string) { b.where = append(b.where, condition) }
	if h.id != "" {
		and(`r.id = @id`)
		b.args["id"] = h.id
	}
	if h.since != nil {
		and(`r.last_updated >= @since`)
		b.args["since"] = *h.since
	}
	if h.at != nil { // until the next version, a version is current
		and(`r.last_updated < @high`)
		for _, table := range []string{"resource_search", "history_search"} {
			and(`NOT EXISTS (
					SELECT FROM ` + table + ` n
					WHERE n.type = r.type AND n.id = r.id AND n.version = r.version + 1 AND n.last_updated <= @low)`)
		}
		b.args["low"], b.args["high"] = h.at.low, h.at.high
	}
	if h.after != nil {
		and(`r.last_updated <= @updated AND (r.last_updated, r.type, r.id, r.version) < (@updated, @type COLLATE "C", @last COLLATE "C", @number)`)
		b.args["updated"], b.args["type"], b.args["last"], b.args["number"] = h.after.updated, h.after.typ, h.after.id, h.after.number
	}
	b.unblindedVersions(actor)
	b.currentInside(fenceOf(actor, h.does()), h.types)
	return b
}

// currentInside is fence for a version that may not be the current one.
func (b *sqlBuilder) currentInside(f *fence, types []string) {
	if f == nil {
		return
	}
	current := &sqlBuilder{args: b.args}
	current.fence(f, "")
	b.where = append(b.where, `(r.type, r.id) IN (
					SELECT r.type, r.id
					FROM resource_search r
					WHERE r.type = ANY (`+b.arg(types)+`::text[]) AND NOT r.deleted`+current.conditions()+`)`)
}

// historyBundle is the Bundle of a page. A deletion has no resource.
func (s *Server) historyBundle(h *history, found []Stored) []byte {
	end := pageEnd(found, h.count)
	more := end < len(found)
	found = found[:end]
	links := []bundleLink{{"self", s.historyURL(h, h.used)}}
	var total *int
	if n := len(found); !more && h.after == nil {
		total = &n // known without counting
	}
	if more {
		next, last := maps.Clone(h.used), found[len(found)-1]
		next.Set("_after", version{last.LastUpdated, last.Type, last.ID, last.Version}.String())
		links = append(links, bundleLink{"next", s.historyURL(h, next)})
	}
	w := s.newBundle("history", total, links...)
	for _, r := range found {
		method, address, status := r.request()
		request := Object("method", method, "url", address)
		response := Object("status", fmt.Sprintf("%d %s", status, http.StatusText(status)), "etag", r.ETag(), "lastModified", instant(r.LastUpdated))
		w.add(r.Reference(), r.Body, `"request":`+string(request.Bytes())+`,"response":`+string(response.Bytes()))
	}
	return w.end()
}

// request is what made a version. A patch is told as the update that it comes
// to, and a first version under an id of ours as the create that gave it.
func (r Stored) request() (method, address string, status int) {
	id, err := uuid.Parse(r.ID)
	switch {
	case r.Deleted:
		return http.MethodDelete, r.Reference(), http.StatusNoContent
	case r.Version == 1 && err == nil && id.Version() == 7:
		return http.MethodPost, r.Type, http.StatusCreated
	case r.Version == 1:
		return http.MethodPut, r.Reference(), http.StatusCreated
	}
	return http.MethodPut, r.Reference(), http.StatusOK
}

func (s *Server) historyURL(h *history, values url.Values) string {
	return withQuery(strings.TrimSuffix(s.baseURL+"/"+h.address, "/")+"/_history", values)
}
