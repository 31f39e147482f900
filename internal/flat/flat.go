// Package flat writes tables as files that other programs read: CSV (RFC 4180),
// NDJSON and Apache Parquet. What is in a table, and who may see it, is decided
// where it is made.
package flat

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/overread/overread/internal/fault"
)

// Kind is what a column holds.
type Kind string

// The kinds of columns. Any value may be nil.
const (
	Text    Kind = "string"
	Integer Kind = "integer"  // int
	Decimal Kind = "decimal"  // float64
	Boolean Kind = "boolean"  // bool
	Instant Kind = "dateTime" // time.Time
)

// Column is one of a table.
type Column struct {
	Name string
	Kind Kind
	Doc  string
}

// Table is rows of values in the order of the columns.
type Table struct {
	Name    string
	Columns []Column
	Rows    [][]any
}

// format is a form of a file.
type format struct {
	name, mediaType string
	write           func(io.Writer, Table) error
}

var formats = []format{
	{"csv", "text/csv; charset=utf-8; header=present", writeCSV},
	{"ndjson", "application/x-ndjson", writeNDJSON},
	{"parquet", "application/vnd.apache.parquet", writeParquet},
}

// Formats are the names of the formats.
func Formats() (names []string) {
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// Write makes a file of a table. It returns a fault of kind Value for a format that
// there is not.
func Write(name string, t Table) (mediaType string, content []byte, err error) {
	i := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
	if i < 0 {
		return "", nil, fault.New(fault.Value, "a format is one of: %s", strings.Join(Formats(), ", "))
	}
	var b bytes.Buffer
	if err := formats[i].write(&b, t); err != nil {
		return "", nil, fmt.Errorf("write %s as %s: %w", t.Name, name, err)
	}
	return formats[i].mediaType, b.Bytes(), nil
}

func writeCSV(w io.Writer, t Table) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180
	line := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		line[i] = c.Name
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for _, row := range t.Rows {
		for i, v := range row {
			line[i] = cell(v)
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// cell is a value as CSV has it. A text that a spreadsheet would take for a formula gets
// an apostrophe before it (OWASP, CSV Injection); numbers are ours and stay.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if v != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(v)[0]) {
			return "'" + v
		}
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}

func writeNDJSON(w io.Writer, t Table) error {
	out := bufio.NewWriter(w)
	for _, row := range t.Rows {
		for i, c := range t.Columns {
			sep := byte(',')
			if i == 0 {
				sep = '{'
			}
			value := row[i]
			if at, ok := value.(time.Time); ok {
				value = at.UTC().Format(time.RFC3339)
			}
			text, err := json.Marshal(value)
			if err != nil {
				return err
			}
			_ = out.WriteByte(sep)
			_, _ = out.WriteString(strconv.Quote(c.Name) + ":")
			_, _ = out.Write(text)
		}
		_, _ = out.WriteString("}\n")
	}
	return out.Flush()
}

// writeParquet has every column optional, and columns in the order of their names, as
// the library has groups.
func writeParquet(w io.Writer, t Table) error {
	group, order := parquet.Group{}, make([]int, len(t.Columns))
	for i, c := range t.Columns {
		node, err := nodeOf(c.Kind)
		if err != nil {
			return err
		}
		group[c.Name], order[i] = parquet.Compressed(parquet.Optional(node), &parquet.Snappy), i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(t.Columns[a].Name, t.Columns[b].Name) })
	out := parquet.NewWriter(w, parquet.NewSchema(t.Name, group))
	for _, row := range t.Rows {
		values := make(parquet.Row, len(row))
		for at, i := range order {
			values[at] = parquetValue(row[i], at)
		}
		if _, err := out.WriteRows([]parquet.Row{values}); err != nil {
			return err
		}
	}
	return out.Close()
}

func nodeOf(k Kind) (parquet.Node, error) {
	switch k {
	case Text:
		return parquet.String(), nil
	case Integer:
		return parquet.Int(64), nil
	case Decimal:
		return parquet.Leaf(parquet.DoubleType), nil
	case Boolean:
		return parquet.Leaf(parquet.BooleanType), nil
	case Instant:
		return parquet.Timestamp(parquet.Millisecond), nil
	}
	return nil, fmt.Errorf("no kind %s", k)
}

func parquetValue(v any, column int) parquet.Value {
	switch at := v.(type) {
	case nil:
		return parquet.NullValue().Level(0, 0, column)
	case time.Time:
		v = at.UnixMilli()
	case int:
		v = int64(at)
	}
	return parquet.ValueOf(v).Level(0, 1, column)
}
