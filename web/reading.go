package web

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
)

// readingRooms are the pages of one case for those who read.
func (s *Server) readingRooms() []room {
	return []room{
		{http.MethodGet, "/case/:task", "", whoRead, s.reading},
		{http.MethodPost, "/case/:task/claim", "", whoRead, s.claim},
		{http.MethodPost, "/case/:task/write/:operation", "", whoRead, s.write},
	}
}

// claim takes a case, with the attestation that the page shows beside its button, and
// begins to read it.
func (s *Server) claim(c echo.Context, at seat) error {
	ctx, task := c.Request().Context(), c.Param("task")
	_, err := s.Desk.Perform(ctx, at.place.Actor, screen.Errand{Task: task, Operation: "claim", Fields: url.Values{"independent": {"true"}}}, s.caller(c))
	if err == nil && at.place.Role == access.Reader {
		_, err = s.Desk.Perform(ctx, at.place.Actor, screen.Errand{Task: task, Operation: "start"}, s.caller(c))
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, s.at(at.place)+"/case/"+task)
}

// written are the operations that take an opinion.
var written = []string{"draft", "lock", "propose", "arbitrate", "adjudicate", "revise", "sign"}

// write does an operation with an opinion: the fields of the template (q.KIND.ITEM) go
// as answers to it, the others as perform sends them.
func (s *Server) write(c echo.Context, at seat) error {
	if err := c.Request().ParseForm(); err != nil {
		return fault.New(fault.Structure, "This form did not come whole. Please go back and try again.")
	}
	if !slices.Contains(written, c.Param("operation")) {
		return fault.New(fault.NotFound, "There is no such page, or not in your role.")
	}
	fields := c.Request().PostForm
	if c.Param("operation") == "adjudicate" && fields.Get("agreement") == "true" { // what was filled in before is what the reader graded
		maps.DeleteFunc(fields, func(name string, _ []string) bool {
			return strings.HasPrefix(name, "discrepancy.") || slices.Contains([]string{"difference", "noComparisonReason", "noComparison"}, name)
		})
	}
	if _, asked := fields["compared"]; asked {
		takeCompared(fields)
	}
	answers, err := answersOf(fields)
	if err != nil {
		return err
	}
	if answers != "" {
		fields.Set("answers", answers)
	}
	return s.perform(c, at)
}

// takeCompared makes of the choice how two readings compare the fields of the operation, and
// leaves out what was filled in under another choice.
func takeCompared(fields url.Values) {
	chosen := fields.Get("compared")
	fields.Del("compared")
	maps.DeleteFunc(fields, func(name string, _ []string) bool {
		switch name {
		case "noComparisonReason", "noComparison":
			return chosen != "incomparable"
		case "difference", "goodCall", "comment":
			return chosen != "differ"
		}
		return strings.HasPrefix(name, "discrepancy.") && chosen != "differ"
	})
	switch chosen {
	case "stands":
		fields.Set("gradeStands", "true")
	case "agree":
		fields.Set("agreement", "true")
	case "differ":
		fields.Set("agreement", "false")
	}
}

// answersOf takes the fields of a template out of a form and makes a
// QuestionnaireResponse of them (docs/templates.md); "" where nothing is answered.
func answersOf(fields url.Values) (string, error) {
	type answer map[string]any
	type item struct {
		LinkID string   `json:"linkId"`
		Answer []answer `json:"answer"`
	}
	var items []item
	for name, values := range fields {
		kind, ok := strings.CutPrefix(name, "q.")
		if !ok {
			continue
		}
		fields.Del(name)
		kind, id, _ := strings.Cut(kind, ".")
		row := item{LinkID: id}
		for _, value := range values {
			if value = strings.TrimSpace(value); value == "" {
				continue
			}
			switch kind {
			case "boolean":
				row.Answer = append(row.Answer, answer{"valueBoolean": true})
			case "choice":
				row.Answer = append(row.Answer, answer{"valueCoding": map[string]string{"code": value}})
			case "decimal":
				number := strings.TrimSuffix(strings.Replace(value, ",", ".", 1), ".")
				if !json.Valid([]byte(number)) || strings.ContainsAny(number, `"{[tfn`) {
					return "", fault.New(fault.Value, "A measurement must be a number.")
				}
				row.Answer = append(row.Answer, answer{"valueDecimal": json.Number(number)})
			default:
				row.Answer = append(row.Answer, answer{"valueString": value})
			}
		}
		if row.Answer != nil {
			items = append(items, row)
		}
	}
	form := fields.Get("questionnaire")
	fields.Del("questionnaire")
	if items == nil {
		return "", nil
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.LinkID, b.LinkID) })
	text, err := json.Marshal(map[string]any{"resourceType": "QuestionnaireResponse", "status": "in-progress", "questionnaire": form, "item": items})
	return string(text), err
}
