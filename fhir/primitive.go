package fhir

import (
	"encoding/base64"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// format is what the values of a primitive type look like, FHIR R4
// datatypes.html#primitive, and what to do about one that does not.
type format struct {
	fits func(text string) bool
	text string
}

// formats are those of the types whose values are not free. google/fhir knows them
// too, but stops at the first value that it cannot read.
var formats = map[string]format{
	"Date":         {dateFits(validDate, "2006", "2006-01", time.DateOnly), "write a date that exists, as YYYY, YYYY-MM or YYYY-MM-DD"},
	"DateTime":     {dateFits(validDateTime, "2006", "2006-01", time.DateOnly, time.RFC3339), "write a date that exists, as YYYY, YYYY-MM, YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with Z or an offset as +02:00"},
	"Instant":      {dateFits(validInstant, time.RFC3339), "write a time that exists, as YYYY-MM-DDThh:mm:ss with Z or an offset as +02:00"},
	"Time":         {validTime.MatchString, "write a time of day, as hh:mm:ss"},
	"Base64Binary": {isBase64, "write the content in base64, with padding"},
	"PositiveInt":  {wholeFrom(1), "write a whole number from 1 to 2147483647"},
	"UnsignedInt":  {wholeFrom(0), "write a whole number from 0 to 2147483647"},
	"Integer":      {wholeFrom(math.MinInt32), "write a whole number from -2147483648 to 2147483647"},
	"Id":           {validID.MatchString, "an id has 1 to 64 letters, digits, dots and hyphens"},
	"Oid":          {validOID.MatchString, "an OID is written urn:oid: and numbers between dots, without leading zeros"},
	"Uuid":         {validUUID.MatchString, "a UUID is written urn:uuid: and 36 characters in lower case"},
	"Code":         {validCode.MatchString, "a code has no blanks at its ends, and single spaces within"},
	"String":       {func(text string) bool { return len(text) <= 1<<20 }, "a string is at most 1 MB long: send an Attachment"},
	"Uri":          {isURL, "not a valid URI: percent-encode what needs it"},
	"Url":          {isURL, "not a valid URL: percent-encode what needs it"},
	"Canonical":    {isURL, "not a valid URL: percent-encode what needs it"},
}

const (
	yearPart  = `([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)`
	monthPart = `(0[1-9]|1[0-2])`
	dayPart   = `(0[1-9]|[12][0-9]|3[01])`
	clockPart = `([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?`
	zonePart  = `(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))`
)

// Seconds of 60 are leap seconds (FHIR R4 datatypes.html#dateTime).
var (
	validDate     = regexp.MustCompile(`^` + yearPart + `(-` + monthPart + `(-` + dayPart + `)?)?$`)
	validDateTime = regexp.MustCompile(`^` + yearPart + `(-` + monthPart + `(-` + dayPart + `(T` + clockPart + zonePart + `)?)?)?$`)
	validInstant  = regexp.MustCompile(`^` + yearPart + `-` + monthPart + `-` + dayPart + `T` + clockPart + zonePart + `$`)
	validTime     = regexp.MustCompile(`^` + clockPart + `$`)
	validCode     = regexp.MustCompile(`^\S+( \S+)*$`)
)

// dateFits: of the form, and a day that the calendar has.
func dateFits(form *regexp.Regexp, layouts ...string) func(string) bool {
	return func(text string) bool {
		if !form.MatchString(text) {
			return false
		}
		text, _ = withoutLeap(text)
		for _, layout := range layouts {
			if _, err := time.Parse(layout, text); err == nil {
				return true
			}
		}
		return false
	}
}

var leapSecond = regexp.MustCompile(`^(.*[0-9]{2}:[0-9]{2}:)60(.*)$`)

// withoutLeap is the second before, if text is within a leap second: Go and
// PostgreSQL know of none.
func withoutLeap(text string) (string, bool) {
	parts := leapSecond.FindStringSubmatch(text)
	if parts == nil {
		return text, false
	}
	return parts[1] + "59" + parts[2], true
}

func wholeFrom(least int64) func(string) bool {
	return func(text string) bool {
		n, err := strconv.ParseInt(text, 10, 32)
		return err == nil && n >= least
	}
}

func isURL(text string) bool {
	_, err := url.Parse(text)
	return err == nil
}

// isBase64 takes white space anywhere: mail and PEM break lines, and not only
// after every fourth character.
func isBase64(text string) bool {
	count, padding := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case isBase64Space(rune(c)):
			continue
		case c == '=':
			padding++
		case padding > 0 || !isBase64Digit(c):
			return false
		}
		count++
	}
	return count > 0 && count%4 == 0 && padding <= 2
}

func isBase64Digit(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

func isBase64Space(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// packedBase64 is text without its white space, as decoders want it.
func packedBase64(text string) string {
	if strings.IndexFunc(text, isBase64Space) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if isBase64Space(r) {
			return -1
		}
		return r
	}, text)
}

// binaryContent are the bytes of a Binary, FHIR R4 datatypes.html#base64Binary.
func binaryContent(n *Node) ([]byte, error) {
	return base64.StdEncoding.DecodeString(packedBase64(n.Text("data")))
}
