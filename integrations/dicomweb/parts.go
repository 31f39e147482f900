package dicomweb

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Pixels, bulk data and whole instances come in parts (PS3.18 section 8.6). They
// stream through: a part is begun anew with a type of ours and nothing else of what
// the PACS wrote about it, such as its own address (Content-Location).

// partTypes are those of parts that are passed on (PS3.18 section 8.7.3). No browser
// shows a multipart/related, nor any of these but JPEG, as a page.
var partTypes = []string{
	"application/octet-stream", "image/jpeg", "image/jls", "image/x-jls", "image/jp2", "image/jpx", "image/jphc", "image/dicom-rle", "image/x-dicom-rle",
}

// partsMax of an answer: as many as frames may be asked for at once.
const partsMax = 64

func (p *passing) parts() error {
	if len(p.r.URL.Query()) > 0 {
		return fault.New(fault.Value, "this takes no parameters")
	}
	allowed, accept := partTypes, `multipart/related; type="application/octet-stream"`
	switch {
	case p.at.kind == wholeInstance:
		allowed, accept = []string{"application/dicom"}, `multipart/related; type="application/dicom"`
	case p.at.kind == frames && strings.Contains(strings.ReplaceAll(strings.Join(p.r.Header.Values("Accept"), ","), " ", ""), "transfer-syntax=*"):
		accept += "; transfer-syntax=*" // as it is stored
	}
	res, end, err := p.ask(accept, nil)
	if err != nil {
		return err
	}
	defer end()
	defer res.Body.Close()
	kind, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err == nil && kind == "application/octet-stream" && p.at.kind == bulkdata {
		return p.onePart(res.Body)
	}
	if err != nil || kind != "multipart/related" || params["boundary"] == "" {
		return unavailable(&trouble{workflow.PACSUnreadable, "media-type", res.StatusCode, 0})
	}
	in := multipart.NewReader(res.Body, params["boundary"])
	part, err := in.NextRawPart()
	if err != nil {
		return unavailable(unanswered(err))
	}
	name, full, ok := partType(part, allowed)
	if !ok {
		return unavailable(&trouble{workflow.PACSUnreadable, "media-type", res.StatusCode, 0})
	}
	out := multipart.NewWriter(p.w)
	p.headers(mime.FormatMediaType("multipart/related", map[string]string{"type": name, "boundary": out.Boundary()}))
	p.w.WriteHeader(http.StatusOK)
	if p.r.Method == http.MethodHead {
		return nil
	}
	for n := 1; ; n++ {
		to, err := out.CreatePart(textproto.MIMEHeader{"Content-Type": {full}})
		if err == nil {
			_, err = io.Copy(to, part)
		}
		if err != nil || n > partsMax {
			return abandon()
		}
		switch part, err = in.NextRawPart(); {
		case err == io.EOF: //nolint:errorlint // as the reader documents it
			return cut(out.Close())
		case err != nil:
			return abandon()
		}
		if _, full, ok = partType(part, allowed); !ok {
			return abandon()
		}
	}
}

// abandon cuts the connection of an answer that has begun, so that nobody takes it for
// whole.
func abandon() error { panic(http.ErrAbortHandler) }

// partType is the type of a part, and the same with its transfer syntax, which is all
// that is kept of its header.
func partType(part *multipart.Part, allowed []string) (name, full string, ok bool) {
	name, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(allowed, name) {
		return "", "", false
	}
	full = name
	if syntax := params["transfer-syntax"]; isUID(syntax) {
		full += "; transfer-syntax=" + syntax
	}
	return name, full, true
}

// onePart passes on bulk data that came alone.
func (p *passing) onePart(body io.Reader) error {
	p.headers("application/octet-stream")
	p.w.Header().Set("Content-Disposition", "attachment")
	p.w.WriteHeader(http.StatusOK)
	if p.r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(p.w, body); err != nil {
		return abandon()
	}
	return nil
}
