package fhir

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// expand is ValueSet/$expand, FHIR R4 valueset-operation-expand.html.
func (s *Server) expand(c echo.Context, _ access.Actor, in *Node) error {
	vs, err := s.published(c, in, "ValueSet", "url", "valueSetVersion")
	if err != nil {
		return err
	}
	offset, err := countGiven(in, "offset", 0)
	if err != nil {
		return err
	}
	count, err := countGiven(in, "count", mostCodes)
	if err != nil {
		return err
	}
	filter := strings.ToLower(given(in, "filter").Text())
	codes := slices.DeleteFunc(codesOfValueSet(vs), func(c workflow.Coding) bool {
		return !strings.Contains(strings.ToLower(c.Code+"\n"+c.Display), filter)
	})
	total := len(codes)
	codes = codes[min(offset, total):]
	codes = codes[:min(count, len(codes))]
	var contains []*Node
	for _, c := range codes {
		contains = append(contains, Object("system", c.System, "code", c.Code, "display", c.Display))
	}
	out := vs.Clone()
	if given(in, "includeDefinition").Text() != "true" {
		out.Remove("compose")
	}
	out.Set("expansion", Object("timestamp", instant(s.now()), "total", total, "offset", offset, "contains", contains))
	return write(c, http.StatusOK, out.Bytes())
}

const mostCodes = 1000

// countGiven reads a number that is not below zero.
func countGiven(in *Node, name string, otherwise int) (int, error) {
	value := given(in, name)
	if value == nil {
		return otherwise, nil
	}
	n, err := strconv.Atoi(value.Text())
	if err != nil || n < 0 {
		return 0, fault.New(fault.Value, "%s is a whole number from 0 on", name)
	}
	return n, nil
}
