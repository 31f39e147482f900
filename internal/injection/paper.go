package injection

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Paper is a PDF as its reader takes it: the names that stand in it outside of
// texts, and the operators of its drawings.
type Paper struct {
	Names     []string // each once, sorted
	Operators []string // each once, sorted
	Objects   int
}

// acting are names by which a PDF runs, opens, loads or sends something.
// A tree of EmbeddedFiles without files in it (Filespec) is nothing.
var acting = []string{"JavaScript", "JS", "OpenAction", "AA", "Launch", "URI", "SubmitForm", "ImportData", "GoToR", "GoToE", "Action", "Annots", "Annot",
	"AcroForm", "XFA", "EmbeddedFile", "Filespec", "EF", "RichMedia", "Movie", "Sound", "Rendition", "Encrypt", "ObjStm", "XRef", "Do"}

// ReadPaper reads a PDF of the kind that internal/letter writes: objects in
// clear, streams packed with Flate or not at all (ISO 32000-1 section 7).
func ReadPaper(text []byte) (Paper, error) {
	if !bytes.HasPrefix(text, []byte("%PDF-")) {
		return Paper{}, errors.New("it is no PDF")
	}
	r := reader{text: text}
	names, operators := map[string]bool{}, map[string]bool{}
	var p Paper
	packed, length := false, 0
	for {
		tok, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p, err
		}
		switch {
		case tok == "obj":
			p.Objects++
			packed, length = false, 0
		case tok == "/Length":
			if n, err := r.next(); err == nil {
				length, _ = strconv.Atoi(n)
			}
		case tok == "/FlateDecode":
			packed = true
			names["FlateDecode"] = true
		case tok == "stream":
			content, err := r.stream(length, packed)
			if err != nil {
				return p, err
			}
			if isDrawing(content) {
				if err := drawn(content, names, operators); err != nil {
					return p, err
				}
			}
		case tok[0] == '/':
			names[tok[1:]] = true
		}
	}
	for name := range names {
		p.Names = append(p.Names, name)
	}
	for op := range operators {
		p.Operators = append(p.Operators, op)
	}
	slices.Sort(p.Names)
	slices.Sort(p.Operators)
	if p.Objects == 0 || len(p.Operators) == 0 {
		return p, errors.New("it has no objects or draws nothing")
	}
	return p, nil
}

// Dangers are the names and operators by which the PDF could do something.
func (p Paper) Dangers() (found []string) {
	for _, name := range slices.Concat(p.Names, p.Operators) {
		if slices.Contains(acting, name) {
			found = append(found, "/"+name)
		}
	}
	return found
}

// isDrawing tells a page's content from fonts and tables.
func isDrawing(content []byte) bool {
	return bytes.Contains(content, []byte(" Tf")) || bytes.Contains(content, []byte(" Tj")) || bytes.Contains(content, []byte(" TJ"))
}

// drawn adds the operators and names of a page's content.
func drawn(content []byte, names, operators map[string]bool) error {
	r := reader{text: content}
	for {
		tok, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case tok[0] == '/':
			names[tok[1:]] = true
		case strings.Trim(tok, "+-.0123456789") == "", tok == "()", strings.ContainsAny(tok, "[]<>"):
		default:
			operators[tok] = true
		}
	}
}

// reader splits a PDF into tokens. Texts are one token, "()", whatever is in them.
type reader struct {
	text []byte
	at   int
}

const (
	blanks     = "\x00\t\n\x0c\r "
	delimiters = "()<>[]{}/%"
)

func (r *reader) next() (string, error) {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case strings.IndexByte(blanks, c) >= 0:
			r.at++
		case c == '%':
			for r.at < len(r.text) && r.text[r.at] != '\n' && r.text[r.at] != '\r' {
				r.at++
			}
		case c == '(':
			return "()", r.skipText()
		case c == '<' && r.peek(1) != '<':
			end := bytes.IndexByte(r.text[r.at:], '>')
			if end < 0 || strings.Trim(string(r.text[r.at+1:r.at+end]), "0123456789abcdefABCDEF\n\r ") != "" {
				return "", errors.New("a hexadecimal text that is none")
			}
			r.at += end + 1
			return "()", nil
		case c == '<' || c == '>':
			r.at += 2
			return string([]byte{c, c}), nil
		case c == '[' || c == ']' || c == '{' || c == '}':
			r.at++
			return string(c), nil
		case c == ')':
			return "", errors.New("a text ends that was not begun")
		default:
			return r.word(), nil
		}
	}
	return "", io.EOF
}

func (r *reader) peek(n int) byte {
	if r.at+n < len(r.text) {
		return r.text[r.at+n]
	}
	return 0
}

func (r *reader) word() string {
	from := r.at
	r.at++
	for r.at < len(r.text) && strings.IndexByte(blanks+delimiters, r.text[r.at]) < 0 {
		r.at++
	}
	return string(r.text[from:r.at])
}

// skipText passes a text in brackets, which may hold escapes and brackets.
func (r *reader) skipText() error {
	depth := 0
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\\':
			r.at++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				r.at++
				return nil
			}
		}
	}
	return errors.New("a text that does not end")
}

// stream is the content of a stream, whose length its dictionary has told.
func (r *reader) stream(length int, packed bool) ([]byte, error) {
	if r.peek(0) == '\r' {
		r.at++
	}
	r.at++ // the line break
	if length <= 0 || r.at+length > len(r.text) {
		return nil, errors.New("a stream without its length")
	}
	content := r.text[r.at : r.at+length]
	r.at += length
	if end, err := r.next(); err != nil || end != "endstream" {
		return nil, errors.New("a stream that is longer than it says")
	}
	if !packed {
		return content, nil
	}
	z, err := zlib.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, 64<<20))
}
