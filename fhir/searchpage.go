package fhir

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/overread/overread/internal/fault"
)

const (
	defaultCount = 50 // resources on a page
	maxCount     = 500
)

// sorts are the orders in which a search can be asked for. UUIDv7 ids grow with
// time, so the default is newest first.
var sorts = map[string]struct{ column, direction string }{
	"-_id":          {"id", "DESC"},
	"_id":           {"id", "ASC"},
	"_lastUpdated":  {"last_updated", "ASC"},
	"-_lastUpdated": {"last_updated", "DESC"},
}

// resultParams are the parameters of a search that choose nothing.
var resultParams = map[string]func(q *query, value string) error{
	"_count":  (*query).setCount,
	"_sort":   (*query).setSort,
	"_after":  (*query).setAfter,
	"_format": (*query).setFormat,
	"_pretty": func(*query, string) error { return nil },
}

func (q *query) setCount(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return fault.New(fault.Value, "_count must be a number from 0, which asks for the total only")
	}
	q.count = min(n, maxCount)
	return nil
}

func (q *query) setSort(value string) error {
	if _, ok := sorts[value]; !ok {
		return fault.New(fault.NotSupported, "_sort can be _id, -_id, _lastUpdated or -_lastUpdated")
	}
	q.sort = value
	return nil
}

func (q *query) setFormat(value string) error {
	if !acceptsFHIR(value) {
		return fault.New(fault.NotAcceptable, "only JSON is served: _format=application/fhir+json")
	}
	return nil
}

// cursor is the last resource of the page before: the next page begins after
// it, wherever others have come or gone meanwhile.
type cursor struct {
	id          string
	lastUpdated time.Time
}

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.lastUpdated.UnixMicro(), 10) + "/" + c.id))
}

func (q *query) setAfter(value string) error {
	refusal := fault.New(fault.Value, "_after must come from the next link of a page")
	text, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return refusal
	}
	micros, id, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || !idPattern.MatchString(id) || n < -1<<56 || n > 1<<56 {
		return refusal
	}
	q.after = cursor{id, time.UnixMicro(n).UTC()}
	return nil
}
