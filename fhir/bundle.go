package fhir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

const maxEntries = 500

// takeBundle is POST /fhir with a Bundle: a transaction or a batch. Who may read
// only may send one that only reads.
func (s *Server) takeBundle(c echo.Context, actor access.Actor) error {
	body, err := s.body(c, fhirTypes...)
	if err != nil {
		return err
	}
	bundle, err := s.decodeBundle(c.Request().Context(), body)
	if err != nil {
		return err
	}
	entries := bundle.Get("entry").Items()
	if len(entries) > maxEntries {
		return fault.At(fault.TooLarge, "Bundle.entry", "a Bundle may have %d entries: send it in parts", maxEntries)
	}
	switch bundle.Text("type") {
	case "batch":
		return s.batch(c, actor, entries)
	case "transaction":
		return s.transaction(c, actor, entries, body)
	}
	return fault.At(fault.NotSupported, "Bundle.type", "only a Bundle of type transaction or batch is taken here")
}

// transaction does all of it or nothing, FHIR R4 http.html#transaction. On
// failure the answer is one OperationOutcome that names the entry.
func (s *Server) transaction(c echo.Context, actor access.Actor, entries []*Node, body []byte) error {
	wanted, err := s.steps(c, entries)
	if err != nil {
		return err
	}
	writes := slices.ContainsFunc(wanted, func(st step) bool { return st.ask == nil })
	if writes && !slices.Contains(writers, actor.Role) {
		return fault.New(fault.Forbidden, "the role %s may only read: GET and HEAD", actor.Role)
	}
	for _, st := range wanted {
		if st.ask == nil {
			err := s.mayRead(actor, st.change.row)
			if err == nil {
				err = covered(actor, st.change.row.name, permissionOf[writing[st.change.method]])
			}
			if err != nil {
				return st.change.blame(err)
			}
		}
	}
	prefer := preferredReturn(c)
	ctx := c.Request().Context()
	answer, err := inTenant(ctx, s, actor, func(tx pgx.Tx) ([]byte, error) {
		return once(ctx, tx, receiptKey(body, prefer, strings.TrimSpace(actor.Scopes()+" "+actor.Patient)), repeatable(wanted), func() ([]byte, error) {
			return s.carryOut(ctx, tx, actor, wanted, prefer)
		})
	})
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, answer)
}

// A step is one entry of a transaction: what it writes, or what it asks.
type step struct {
	change change
	ask    *errand // GET or HEAD
}

// carryOut does the steps: all that writes, and then what is asked, of what is
// there by then (FHIR R4 http.html#trules).
func (s *Server) carryOut(ctx context.Context, tx pgx.Tx, actor access.Actor, steps []step, prefer string) ([]byte, error) {
	changes := make([]*change, 0, len(steps))
	answers := make([]entryAnswer, len(steps))
	for _, st := range steps {
		if st.ask == nil {
			changes = append(changes, new(st.change)) // a copy: the transaction may be run again
		}
	}
	if err := s.apply(ctx, tx, actor, changes); err != nil {
		return nil, err
	}
	var reads *desk // most transactions ask nothing, and a desk has all routes
	size := 0
	for i, st := range steps {
		if st.ask == nil {
			answers[i] = changes[0].answer(prefer, actor)
			changes = changes[1:]
			continue
		}
		if reads == nil {
			reads = s.within(tx).desk(actor)
		}
		var err error
		if answers[i], err = reads.ask(ctx, *st.ask); err != nil {
			return nil, blameEntry(err, st.ask.at)
		}
		if size += answers[i].size; size > maxAnswers {
			return nil, fault.At(fault.TooLarge, st.ask.at, "the answers to this Bundle are larger than %d bytes: ask in parts", maxAnswers)
		}
	}
	return s.bundleResponse("transaction-response", answers), nil
}

// steps reads the entries of a transaction Bundle.
func (s *Server) steps(c echo.Context, entries []*Node) ([]step, error) {
	steps := make([]step, 0, len(entries))
	fullURLs := map[string]bool{}
	for i, entry := range entries {
		at := fmt.Sprintf("Bundle.entry[%d]", i)
		st, err := s.stepOf(c, entry, at)
		if err != nil {
			return nil, err
		}
		full := entry.Text("fullUrl")
		if full != "" && fullURLs[full] {
			return nil, fault.At(fault.Value, at+".fullUrl", "another entry of this Bundle has the same fullUrl")
		}
		fullURLs[full] = true
		steps = append(steps, st)
	}
	return steps, nil
}

func (s *Server) stepOf(c echo.Context, entry *Node, at string) (step, error) {
	switch method := entry.Text("request", "method"); method {
	case "":
		return step{}, fault.At(fault.Required, at+".request.method", "an entry needs its request: what to do with it")
	case http.MethodGet, http.MethodHead:
		ask, err := s.errandOf(c, entry, at)
		if err == nil && strings.Contains(ask.url.Path, "$") {
			err = fault.At(fault.NotSupported, at+".request.url", "operations are not part of a transaction: send a batch")
		}
		return step{ask: &ask}, err
	}
	change, err := s.changeOf(entry, at)
	return step{change: change}, err
}

// writing are the interactions of the methods that write.
var writing = map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}

// changeOf reads one entry that writes.
func (s *Server) changeOf(entry *Node, at string) (change, error) {
	request := entry.Get("request")
	method := request.Text("method")
	address, query, conditional := strings.Cut(s.relativeURL(request.Text("url")), "?")
	typ, id, _ := strings.Cut(address, "/")
	row := s.resources[typ]
	c := change{method: method, row: row, sent: entry.Get("resource"), path: at + ".resource", fullURL: entry.Text("fullUrl"), id: id}
	if c.deletes() {
		c.path, c.sent = at, nil
	}
	url := at + ".request.url"
	var err error
	switch {
	case writing[method] == "":
		return c, fault.At(fault.NotSupported, at+".request.method", "an entry may be DELETE, POST, PUT, PATCH, GET or HEAD")
	case row == nil || !row.allows(writing[method]):
		return c, fault.At(fault.NotSupported, url, "this type does not have this interaction here; /fhir/metadata lists what it has")
	case c.sent == nil && !c.deletes():
		return c, fault.At(fault.Required, at+".resource", "a %s needs its resource", method)
	case method == http.MethodPost && (conditional || id != ""):
		return c, fault.At(fault.Value, url, "a POST goes to the type alone: %s", row.name)
	case method != http.MethodPost && conditional == (id != ""):
		return c, fault.At(fault.Value, url, "a %s goes to %s/{id} or to %s?{condition}", method, row.name, row.name)
	case id != "" && !idPattern.MatchString(id):
		return c, fault.At(fault.Value, url, "the id in the address must be 1 to 64 letters, digits, hyphens and dots")
	case method != http.MethodPatch && !c.deletes() && c.sent.Type() != row.name:
		return c, fault.At(fault.Value, url, "the address is of another type than the resource")
	case conditional:
		c.condition, err = parseCondition(query)
	case method == http.MethodPut:
		err = c.checkID()
	case method == http.MethodPost && request.Text("ifNoneExist") != "":
		c.condition, err = parseCondition(s.queryAlone(request.Text("ifNoneExist"), row.name))
	}
	if err == nil && method == http.MethodPatch {
		c.patch, err = patchOf(c.sent)
		c.sent = nil
	}
	if err == nil {
		c.ifMatch, err = expectedForUpdate(request.Text("ifMatch"), request.Text("ifNoneMatch"))
	}
	return c, c.blame(err)
}

// patchOf reads the patch of an entry: a Binary with a JSON Patch, as FHIR R4
// http.html#patch wants it, or the Parameters of a FHIRPath Patch.
func patchOf(n *Node) (patch, error) {
	switch {
	case n.Type() == "Parameters":
		return readFHIRPathPatch(n)
	case n.Type() != "Binary" || mediaType(n.Text("contentType")) != patchFormats[0]:
		return nil, fault.New(fault.MediaType, "the resource of a PATCH is a Binary with contentType %s, or Parameters", patchFormats[0])
	}
	body, err := binaryContent(n)
	if err != nil {
		return nil, fault.New(fault.Value, "the data of the Binary are not base64")
	}
	return readJSONPatch(body)
}

// answer is what the response to an entry says of a change, FHIR R4
// http.html#transaction-response: as much as the client prefers, by default no
// more than where it is.
func (c *change) answer(prefer string, actor access.Actor) entryAnswer {
	a := entryAnswer{status: c.status()}
	if c.stored.Version > 0 {
		a.etag, a.lastModified = c.stored.ETag(), instant(c.stored.LastUpdated)
	}
	if !c.deletes() {
		a.location = c.stored.Versioned()
	}
	switch {
	case prefer == "representation" && !c.deletes() && mayShow(actor, c.stored):
		a.resource = c.stored.Body
	case prefer == "OperationOutcome":
		a.outcome = outcome(issue("information", "informational", map[bool]string{true: "deleted", false: "stored"}[c.deletes()], "", ""))
	}
	return a
}

// receiptKey is what makes two transactions the same: the answer of the first may
// have what the scopes of another token do not let read.
func receiptKey(body []byte, prefer, scopes string) []byte {
	h := sha256.New()
	h.Write(body)
	if prefer != "" && prefer != "minimal" {
		h.Write([]byte("\x00return=" + prefer))
	}
	if scopes != "" {
		h.Write([]byte("\x00scopes=" + scopes))
	}
	return h.Sum(nil)
}

// repeatable tells whether doing the steps again would do no harm: all but
// creates without a condition. A client may well mean them a second time (on hold,
// active, on hold), so only what creates gets a receipt.
func repeatable(steps []step) bool {
	return !slices.ContainsFunc(steps, func(st step) bool {
		return st.change.method == http.MethodPost && st.change.condition == nil
	})
}

// once does what a client asked for, unless the same bytes have come before:
// then it returns the answer that was given. A client whose connection broke
// can repeat a transaction and never has it done twice, unless what it made was
// deleted. Whoever comes second at the same moment waits here for the first to
// end.
func once(ctx context.Context, tx pgx.Tx, key []byte, repeatable bool, do func() ([]byte, error)) ([]byte, error) {
	if repeatable {
		return do()
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO receipt (tenant_id, body_sha256)
		VALUES (overread_tenant(), @key)
		ON CONFLICT (tenant_id, body_sha256) DO NOTHING`,
		pgx.NamedArgs{"key": key})
	if err != nil {
		return nil, fmt.Errorf("take receipt: %w", err)
	}
	var answer []byte
	if tag.RowsAffected() == 0 {
		err := tx.QueryRow(ctx, `SELECT answer FROM receipt WHERE body_sha256 = @key FOR UPDATE`, pgx.NamedArgs{"key": key}).Scan(&answer)
		if err != nil {
			return nil, err
		}
		if stands, err := stillStands(ctx, tx, answer); err != nil || stands {
			return answer, err
		}
	}
	if answer, err = do(); err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE receipt
		SET answer = @answer
		WHERE tenant_id = overread_tenant() AND body_sha256 = @key`,
		pgx.NamedArgs{"key": key, "answer": answer})
	return answer, err
}

// stillStands tells whether all that an answer says was created is here. What
// was deleted since may be sent again.
func stillStands(ctx context.Context, tx pgx.Tx, answer []byte) (bool, error) {
	n, err := Parse(answer, Limits{Values: 10 * documentLimits.Values})
	if err != nil {
		return false, err
	}
	created := map[string]bool{}
	for _, response := range n.Each("entry", "response") {
		if strings.HasPrefix(response.Text("status"), "201") {
			created[parseReference(response.Text("location")).relative()] = true
		}
	}
	found, err := existing(ctx, tx, slices.Collect(maps.Keys(created)))
	return len(found) == len(created), err
}
