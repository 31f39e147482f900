// Package published holds what six studies of second opinions counted and printed,
// and computes their figures again with package measure. It is the self-test behind
// `overread verify-statistics`: whoever doubts our statistics sees them beside those
// that reviewers and readers have seen, with the misprints named.
//
// published-rates.json has the counts from the papers' abstracts, the figures as they
// are printed, and what exact arithmetic makes of the counts where nothing is printed.
// The papers are cited in it. Wibmer's table is not printed: it is the only one that
// fits every printed figure.
package published

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/overread/overread/measure"
)

//go:embed published-rates.json
var rates []byte

// Study is one paper: its counts and what it prints, by their names in
// published-rates.json.
type Study struct {
	ID   string
	Cite string
	raw  map[string]any
}

// Studies are all of them, in the order of the file.
func Studies() ([]Study, error) {
	var file struct {
		Studies []map[string]any `json:"studies"`
	}
	dec := json.NewDecoder(strings.NewReader(string(rates)))
	dec.UseNumber() // 84.0 has a decimal that a float would lose
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("published-rates.json: %w", err)
	}
	studies := make([]Study, len(file.Studies))
	for i, raw := range file.Studies {
		studies[i] = Study{raw: raw}
		studies[i].ID, _ = raw["id"].(string)
		studies[i].Cite, _ = raw["cite"].(string)
	}
	return studies, nil
}

// at is what stands at a path as "published.kappa"; nil where nothing does.
func (s Study) at(path string) any {
	var value any = s.raw
	for step := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[step]
	}
	return value
}

// Count is the count at a path as "neuro.major". A path that has none is a mistake in
// the table of figures, and an error.
func (s Study) Count(path string) (int, error) {
	number, ok := s.at(path).(json.Number)
	if !ok {
		return 0, fmt.Errorf("%s has no count %s", s.ID, path)
	}
	n, err := strconv.Atoi(number.String())
	if err != nil {
		return 0, fmt.Errorf("%s: %s: %w", s.ID, path, err)
	}
	return n, nil
}

// counts are those at several paths. A path may add and take away: "n-neuro.n".
func (s Study) counts(paths ...string) ([]int, error) {
	out := make([]int, len(paths))
	for i, path := range paths {
		for j, part := range term.FindAllString(path, -1) {
			n, err := s.Count(strings.TrimLeft(part, "+-"))
			if err != nil {
				return nil, err
			}
			if j > 0 && part[0] == '-' {
				n = -n
			}
			out[i] += n
		}
	}
	return out, nil
}

var (
	term   = regexp.MustCompile(`[+-]?[^+-]+`)
	number = regexp.MustCompile(`\d+(\.\d+)?`)
)

// Printed are the numbers at a path, each as it is written: "26 (5.8 %)" has two.
func (s Study) Printed(path string) []string {
	return number.FindAllString(fmt.Sprint(s.at(path)), -1)
}

// Row is one figure: as printed, and as it is computed here.
type Row struct {
	Study   string
	Figure  string
	Method  string
	Printed string // by the paper; "" where it does not print it
	Exact   string // by the arithmetic that published-rates.json has; "" where the paper prints it
	Ours    string // with as many decimals
	Slip    string // what is wrong in print, where something is
	Agrees  bool   // ours is what is printed, or the slip is the one we know of
}

// Verdict is the last word about a row.
func (r Row) Verdict() string {
	switch {
	case !r.Agrees:
		return "DISAGREES"
	case r.Slip != "":
		return "printed slip: " + r.Slip
	case r.Printed == "":
		return "agrees with exact arithmetic"
	}
	return "agrees"
}

// Rows are all figures of all studies, computed anew.
func Rows() ([]Row, error) {
	studies, err := Studies()
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, study := range studies {
		for _, f := range figures {
			if f.study != study.ID {
				continue
			}
			row, err := f.row(study)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", study.ID, f.name, err)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (f figure) row(s Study) (Row, error) {
	said := s.Printed(f.path)
	n, err := s.counts(f.counts...)
	if err != nil {
		return Row{}, err
	}
	values, err := f.compute(n)
	if err != nil {
		return Row{}, err
	}
	if len(said) != len(values) {
		return Row{}, fmt.Errorf("%d numbers at %s, and %d computed", len(said), f.path, len(values))
	}
	ours := make([]string, len(values))
	same := true
	for i, v := range values {
		_, decimals, _ := strings.Cut(said[i], ".")
		ours[i] = strconv.FormatFloat(v, 'f', len(decimals), 64)
		same = same && ours[i] == said[i]
	}
	row := Row{Study: s.ID, Figure: f.name, Method: f.method, Ours: strings.Join(ours, ", "), Slip: f.slip}
	if strings.HasPrefix(f.path, "published.") {
		row.Printed = strings.Join(said, ", ")
	} else {
		row.Exact = strings.Join(said, ", ")
	}
	row.Agrees = same
	if f.slip != "" { // the one we know of, and no other difference
		row.Agrees = !same && strings.HasSuffix(f.slip, " rounds to "+row.Ours)
	}
	return row, nil
}

// percent is k of n in percent.
func percent(n []int) ([]float64, error) {
	p := measure.Proportion(n[0], n[1])
	if p == nil {
		return nil, fmt.Errorf("%d of %d is no rate", n[0], n[1])
	}
	return []float64{100 * *p}, nil
}
