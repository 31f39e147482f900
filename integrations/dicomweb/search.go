package dicomweb

import (
	"bufio"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Searches and metadata. A search is answered from the shelf: what the PACS told is
// given as far as it is named here, and every number is counted anew of what is shown.

// shownOfStudy and shownOfSeries are the attributes of searches that are given (PS3.18
// tables 10.6.3-3 and 10.6.3-4). Who has referred, read or noted is not among them.
var (
	shownOfStudy  = []string{"00080020", "00080030", tagAccession, tagDescription, tagPatientName, tagPatientID, tagBirthDate, tagSex, tagStudyUID, "00200010"}
	shownOfSeries = []string{tagModality, tagSeriesDescription, tagSeriesUID, tagSeriesNumber, "00080021", "00080031", tagBodyPart, tagLaterality}
)

const resultsMax = 5000

func itoa(n int) string { return strconv.Itoa(n) }

func told(d dataset, tags []string) dataset {
	out := dataset{}
	for _, tag := range tags {
		if a, ok := d[tag]; ok && a.BulkDataURI == "" {
			out[tag] = a
		}
	}
	return out
}

func texts(vr string, values ...string) attribute {
	a := attribute{VR: vr}
	for _, v := range values {
		text, _ := json.Marshal(v) // a string
		a.Value = append(a.Value, text)
	}
	return a
}

func whole(vr string, n int) attribute {
	return attribute{VR: vr, Value: []jsontext.Value{jsontext.Value(itoa(n))}}
}

// searchStudies answers GET /studies: those of the case, whatever else is asked.
func (p *passing) searchStudies() error {
	wanted := parametersOf(p.r.URL.Query(), "StudyInstanceUID", tagStudyUID)
	var found []dataset
	for _, s := range p.Viewing.Studies {
		if len(wanted) > 0 && !slices.Contains(wanted, s.UID) {
			continue
		}
		st, err := p.shelf.study(p.r.Context(), p.Viewing, s.UID)
		if err != nil {
			if fault.Is(err, fault.NotFound) {
				continue // the PACS has not got this one
			}
			return unavailable(nil)
		}
		d, count, series, modalities := told(st.told, shownOfStudy), 0, 0, []string(nil)
		for _, one := range st.series {
			n := one.count(s.Veiled)
			if n == 0 {
				continue
			}
			count, series = count+n, series+1
			if !slices.Contains(modalities, one.modality) {
				modalities = append(modalities, one.modality)
			}
		}
		if count == 0 {
			continue
		}
		if err := p.Opened(p.r.Context(), s.UID); err != nil {
			return err
		}
		d[tagModalities], d[tagStudySeries], d[tagStudyInstances] = texts("CS", modalities...), whole("IS", series), whole("IS", count)
		found = append(found, d)
	}
	return p.results(found)
}

// searchSeries answers GET /studies/UID/series.
func (p *passing) searchSeries() error {
	wanted := parametersOf(p.r.URL.Query(), "SeriesInstanceUID", tagSeriesUID)
	modality := parametersOf(p.r.URL.Query(), "Modality", tagModality)
	var found []dataset
	for _, s := range p.study.series {
		n := s.count(p.veiled)
		if n == 0 || len(wanted) > 0 && !slices.Contains(wanted, s.uid) || len(modality) > 0 && !slices.Contains(modality, s.modality) {
			continue
		}
		d := told(s.told, shownOfSeries)
		d[tagStudyUID], d[tagSeriesInstances] = texts("UI", p.study.uid), whole("IS", n)
		found = append(found, d)
	}
	return p.results(found)
}

// searchInstances answers GET /studies/UID/instances and below a series.
func (p *passing) searchInstances() error {
	wanted := parametersOf(p.r.URL.Query(), "SOPInstanceUID", tagInstanceUID)
	class := parametersOf(p.r.URL.Query(), "SOPClassUID", tagClass)
	var found []dataset
	for _, s := range p.study.series {
		if p.series != nil && s != p.series {
			continue
		}
		for _, i := range s.instances {
			if !s.seen(i, p.veiled) || len(wanted) > 0 && !slices.Contains(wanted, i.uid) || len(class) > 0 && !slices.Contains(class, i.class) {
				continue
			}
			d := dataset{tagStudyUID: texts("UI", p.study.uid), tagSeriesUID: texts("UI", s.uid), tagInstanceUID: texts("UI", i.uid), tagModality: texts("CS", s.modality)}
			if i.class != "" {
				d[tagClass] = texts("UI", i.class)
			}
			for _, n := range []struct {
				tag, vr string
				n       int
			}{{tagInstanceNumber, "IS", i.number}, {tagRows, "US", i.rows}, {tagColumns, "US", i.columns}, {tagFrames, "IS", i.frames}} {
				if n.n > 0 {
					d[n.tag] = whole(n.vr, n.n)
				}
			}
			found = append(found, d)
		}
	}
	return p.results(found)
}

// results answers with a page of results.
func (p *passing) results(found []dataset) error {
	query := p.r.URL.Query()
	limit, err := number(query.Get("limit"), resultsMax)
	if err != nil {
		return err
	}
	offset, err := number(query.Get("offset"), 0)
	if err != nil {
		return err
	}
	found = found[min(offset, len(found)):]
	found = found[:min(limit, resultsMax, len(found))]
	if found == nil {
		found = []dataset{}
	}
	text, err := json.Marshal(found, json.Deterministic(true))
	if err != nil {
		return err
	}
	p.headers(dicomJSON)
	return p.reply(text)
}

// metadata passes on what the PACS says of the instances of a series, or of one: each
// data set is read, and given when it is one of those that are shown.
func (p *passing) metadata() error {
	if len(p.r.URL.Query()) > 0 && !onlyIncludes(p.r.URL.Query()) {
		return fault.New(fault.Value, "metadata takes no parameters")
	}
	res, end, err := p.ask(dicomJSON, nil)
	if err != nil {
		return err
	}
	defer end()
	defer res.Body.Close()
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != dicomJSON && kind != "application/json" {
		return unavailable(&trouble{workflow.PACSUnreadable, "media-type", res.StatusCode, 0})
	}
	in := jsontext.NewDecoder(io.LimitReader(res.Body, textMaximum))
	if first, err := in.ReadToken(); err != nil || first.Kind() != '[' {
		return unavailable(&trouble{workflow.PACSUnreadable, "dicom-json", res.StatusCode, 0})
	}
	p.headers(dicomJSON)
	if p.r.Method == http.MethodHead {
		p.w.WriteHeader(http.StatusOK)
		return nil
	}
	out := bufio.NewWriterSize(p.w, 64<<10)
	_ = out.WriteByte('[') // what fails is told by Flush
	for first := true; in.PeekKind() == '{'; {
		text, err := p.nextDataset(in)
		if err != nil {
			return abandon()
		}
		if text == nil {
			continue
		}
		if !first {
			_ = out.WriteByte(',')
		}
		first = false
		_, _ = out.Write(text)
	}
	if last, err := in.ReadToken(); err != nil || last.Kind() != ']' {
		return abandon()
	}
	_ = out.WriteByte(']')
	return cut(out.Flush())
}

func onlyIncludes(q url.Values) bool {
	for name := range q {
		if name != "includefield" {
			return false
		}
	}
	return true
}

// nextDataset is the next one as it may be given; nil where it is not shown.
func (p *passing) nextDataset(in *jsontext.Decoder) ([]byte, error) {
	raw, err := in.ReadValue()
	if err != nil {
		return nil, err
	}
	var d dataset
	if err := json.Unmarshal(raw, &d, json.RejectUnknownMembers(true)); err != nil {
		return nil, errModel
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	instance, err := d.text(tagInstanceUID)
	if err != nil || !p.series.has(instance, p.veiled) || p.at.instance != "" && instance != p.at.instance {
		return nil, err
	}
	class, err := d.text(tagClass)
	if err != nil || p.veiled && !isPicture(class) { // what a search called a picture and is none
		return nil, err
	}
	own := "/studies/" + p.study.uid + "/series/" + p.series.uid + "/instances/" + instance
	err = clean(d, p.veiled, func(uri string) (string, bool) {
		below, ours := strings.CutPrefix(p.underBase(uri), own+"/")
		return p.Root + own + "/" + below, ours && (bulkPath.MatchString(below) || strings.HasPrefix(below, "frames/") && frameList.MatchString(below[len("frames/"):]))
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(d, json.Deterministic(true))
}

// underBase is a URI of the PACS below the root of its DICOMweb: absolute, by its path
// (behind a proxy of its own a PACS may believe to be somewhere else), or relative.
func (p *passing) underBase(uri string) string {
	if at := strings.Index(uri, "/studies/"); at >= 0 {
		return uri[at:]
	}
	return uri
}
