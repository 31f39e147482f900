package fhir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

const maxEntries = 500

// transaction is POST /fhir with a Bundle: all of it or nothing, FHIR R4
// http.html#transaction. On failure the answer is one OperationOutcome that
// names the entry.
func (s *Server) transaction(c echo.Context, actor access.Actor) error {
	body, err := s.body(c, fhirTypes...)
	if err != nil {
		return err
	}
	bundle, err := s.decode(c.Request().Context(), body, "Bundle")
	if err != nil {
		return err
	}
	wanted, err := s.changes(bundle)
	if err != nil {
		return err
	}
	full := prefers(c, "return=representation")
	receipt := receiptKey(body, full)
	ctx := c.Request().Context()
	answer, err := inTenant(ctx, s, actor, func(tx pgx.Tx) ([]byte, error) {
		return once(ctx, tx, receipt, repeatable(wanted), func() ([]byte, error) {
			try := make([]*change, len(wanted))
			for i := range wanted {
				each := wanted[i] // the transaction may be run again
				try[i] = &each
			}
			if err := s.apply(ctx, tx, actor, try); err != nil {
				return nil, err
			}
			return transactionResponse(try, full), nil
		})
	})
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, answer)
}

// changes reads the entries of a transaction Bundle.
func (s *Server) changes(bundle *Node) ([]change, error) {
	entries := bundle.Get("entry").Items()
	switch kind := bundle.Text("type"); {
	case kind != "transaction":
		return nil, fault.At(fault.NotSupported, "Bundle.type", "only a Bundle of type transaction is taken here")
	case len(entries) > maxEntries:
		return nil, fault.At(fault.TooLarge, "Bundle.entry", "a Bundle may have %d entries: send it in parts", maxEntries)
	}
	changes := make([]change, 0, len(entries))
	fullURLs := map[string]bool{}
	for i, entry := range entries {
		at := fmt.Sprintf("Bundle.entry[%d]", i)
		c, err := s.changeOf(entry, at)
		if err != nil {
			return nil, err
		}
		if c.fullURL != "" && fullURLs[c.fullURL] {
			return nil, fault.At(fault.Value, at+".fullUrl", "another entry of this Bundle has the same fullUrl")
		}
		fullURLs[c.fullURL] = true
		changes = append(changes, c)
	}
	return changes, nil
}

// changeOf reads one entry.
func (s *Server) changeOf(entry *Node, at string) (change, error) {
	request := entry.Get("request")
	method, address := request.Text("method"), strings.TrimPrefix(request.Text("url"), "/")
	typ, query, conditional := strings.Cut(address, "?")
	typ, id, _ := strings.Cut(typ, "/")
	row := s.resources[typ]
	c := change{method: method, row: row, sent: entry.Get("resource"), path: at + ".resource", fullURL: entry.Text("fullUrl"), id: id}
	interaction := map[string]string{"POST": "create", "PUT": "update"}[method]
	var err error
	switch {
	case method == "":
		return c, fault.At(fault.Required, at+".request.method", "an entry of a transaction needs its request: POST or PUT")
	case interaction == "":
		return c, fault.At(fault.NotSupported, at+".request.method", "in a transaction, entries may be POST or PUT")
	case row == nil || !row.allows(interaction):
		return c, fault.At(fault.NotSupported, at+".request.url", "this type cannot be written here; /fhir/metadata lists those that can")
	case c.sent == nil:
		return c, fault.At(fault.Required, at+".resource", "a %s needs its resource", method)
	case c.sent.Type() != row.name:
		return c, fault.At(fault.Value, at+".request.url", "the address is of another type than the resource")
	case method == "POST" && (conditional || id != ""):
		return c, fault.At(fault.Value, at+".request.url", "a POST goes to the type alone: %s", row.name)
	case method == "PUT" && conditional == (id != ""):
		return c, fault.At(fault.Value, at+".request.url", "a PUT goes to %s/{id} or to %s?{condition}", row.name, row.name)
	case method == "PUT" && conditional:
		c.condition, err = parseCondition(query)
	case method == "PUT":
		err = c.blame(c.checkID())
	case request.Text("ifNoneExist") != "":
		c.condition, err = parseCondition(request.Text("ifNoneExist"))
	}
	if err != nil {
		return c, c.blame(err)
	}
	c.ifMatch, err = expectedForUpdate(request.Text("ifMatch"), request.Text("ifNoneMatch"))
	return c, c.blame(err)
}

// transactionResponse has an entry for each of the request, in its order, FHIR
// R4 http.html#transaction-response.
func transactionResponse(changes []*change, full bool) []byte {
	entries := make([]*Node, len(changes))
	for i, c := range changes {
		entries[i] = Object("response", Object(
			"status", fmt.Sprintf("%d %s", c.status(), http.StatusText(c.status())),
			"location", c.stored.Versioned(),
			"etag", c.stored.ETag(),
			"lastModified", instant(c.stored.LastUpdated),
		))
		if full {
			if n, err := Parse(c.stored.Body, Limits{}); err == nil {
				entries[i].Set("resource", n)
			}
		}
	}
	return Object("resourceType", "Bundle", "type", "transaction-response", "entry", entries).Bytes()
}

// receiptKey is what makes two transactions the same.
func receiptKey(body []byte, full bool) []byte {
	h := sha256.New()
	h.Write(body)
	if full {
		h.Write([]byte("\x00return=representation"))
	}
	return h.Sum(nil)
}

// repeatable tells whether doing the changes again would do no harm: updates
// and conditional creates. A client may well mean them a second time (on hold,
// active, on hold), so only what creates gets a receipt.
func repeatable(changes []change) bool {
	for _, c := range changes {
		if c.method == http.MethodPost && c.condition == nil {
			return false
		}
	}
	return true
}

// once does what a client asked for, unless the same bytes have come before:
// then it returns the answer that was given. A client whose connection broke
// can repeat a transaction and never has it done twice. Whoever comes second
// at the same moment waits here for the first to end.
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
		err := tx.QueryRow(ctx, `SELECT answer FROM receipt WHERE body_sha256 = @key`, pgx.NamedArgs{"key": key}).Scan(&answer)
		return answer, err
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
