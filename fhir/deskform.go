package fhir

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// Perform does an operation of a case as somebody asks for it at a page: by the same
// table, rules and records as POST Task/{id}/$name. Fields that are empty are not
// given.
func (s *Server) Perform(ctx context.Context, actor access.Actor, e screen.Errand, asked Asked) (screen.Done, error) {
	ctx = asked.within(ctx)
	op, err := operationCalled("$" + e.Operation)
	if err != nil {
		return screen.Done{}, err
	}
	given, err := fieldsOf(op.Takes, e.Fields)
	if err != nil {
		return screen.Done{}, err
	}
	r, err := readParameters(op, Object("resourceType", "Parameters", "parameter", given).Bytes())
	if err != nil {
		return screen.Done{}, err
	}
	if op.Name == "draft" {
		r.saved = new(workflow.Draft)
	}
	expected, err := expectedVersion(e.Version)
	if err != nil {
		return screen.Done{}, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (screen.Done, error) {
		task, err := s.perform(ctx, tx, actor, e.Task, op, r, expected)
		if err != nil {
			return screen.Done{}, err
		}
		c, err := workflow.CaseByTaskTx(ctx, tx, e.Task)
		done := screen.Done{Version: task.Version, State: string(c.State)}
		if r.saved != nil {
			done.DraftNo = r.saved.DraftNo
		}
		return done, err
	})
}

// fieldsOf are the parameters that the fields of a form give, in the table's order.
// A field that no row knows is refused: a form that asks for what is not there is
// a fault of ours, and must not be lost in silence.
func fieldsOf(rows []parameter, fields url.Values) ([]*Node, error) {
	var given []*Node
	known := map[string]bool{}
	for _, row := range rows {
		nodes, names, err := fieldOf(row, fields)
		if err != nil {
			return nil, err
		}
		given = append(given, nodes...)
		for _, name := range names {
			known[name] = true
		}
	}
	for name := range fields {
		if !known[name] {
			return nil, fault.New(fault.Value, "this form has a field %q that the operation does not know", name)
		}
	}
	return given, nil
}

// fieldOf are the parameters of a row, and the fields that they stand in.
func fieldOf(row parameter, fields url.Values) (given []*Node, names []string, err error) {
	if row.Type != "" {
		for _, value := range fields[row.Name] {
			if strings.TrimSpace(value) == "" {
				continue
			}
			node, err := fieldValue(row, value)
			if err != nil {
				return nil, nil, err
			}
			given = append(given, node)
		}
		return given, []string{row.Name}, nil
	}
	for _, no := range numbersOf(row.Name, fields) {
		prefix := row.Name + "." + strconv.Itoa(no) + "."
		parts := url.Values{}
		for name, values := range fields {
			if part, ok := strings.CutPrefix(name, prefix); ok {
				parts[part] = values
				names = append(names, name)
			}
		}
		nodes, err := fieldsOf(row.Parts, parts)
		if err != nil {
			return nil, nil, err
		}
		if len(nodes) > 0 {
			given = append(given, Object("name", row.Name, "part", nodes))
		}
	}
	return given, names, nil
}

// numbersOf are the n of fields called name.n.part, in their order.
func numbersOf(name string, fields url.Values) (numbers []int) {
	for field := range fields {
		rest, ok := strings.CutPrefix(field, name+".")
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, ".")
		if no, err := strconv.Atoi(number); err == nil && !slices.Contains(numbers, no) {
			numbers = append(numbers, no)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// fieldValue is one parameter with its value in the element of its type. A
// Coding is written system|code|display.
func fieldValue(row parameter, value string) (*Node, error) {
	element := valueElements(row.Type)[0]
	switch row.Type {
	case "boolean":
		return Object("name", row.Name, element, value == "true" || value == "on"), nil
	case "integer", "positiveInt", "unsignedInt", "decimal":
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			return nil, fault.At(fault.Value, row.Name, "%s must be a number", row.Name)
		}
		return Object("name", row.Name, element, Number(value)), nil
	case "Reference":
		return Object("name", row.Name, element, Object("reference", value)), nil
	case "Coding":
		parts := append(strings.SplitN(value, "|", 3), "", "")
		return Object("name", row.Name, element, coding(parts[0], parts[1], parts[2])), nil
	case "QuestionnaireResponse":
		n, err := Parse([]byte(value), Limits{})
		return Object("name", row.Name, "resource", n), err
	}
	return Object("name", row.Name, element, strings.ReplaceAll(value, "\r\n", "\n")), nil
}
