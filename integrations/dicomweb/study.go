package dicomweb

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/overread/overread/workflow"
)

// Bounds of one look.
const (
	studiesMax  = 20   // of one accession number; more are not looked through
	page        = 200  // results asked for at once
	seriesMax   = 2000 // of one study
	countByMax  = 50_000
	sidesSeries = 12 // series whose images are asked for their side
	sidesImages = 50 // images of each
)

// Look asks one PACS about one study and says what came of it. It never returns
// later than the context ends.
func (c *Client) Look(ctx context.Context, a workflow.Archive, q workflow.Inquiry) workflow.Sighting {
	look := look{client: c, archive: a, inquiry: q}
	s, err := look.run(ctx)
	if t, ok := errors.AsType[*trouble](err); ok {
		return t.sighting()
	}
	if err != nil {
		return workflow.Sighting{Answer: workflow.PACSUnreadable, Reason: "dicom-json"}
	}
	s.Status = http.StatusOK
	return s
}

// look is one look under way.
type look struct {
	client  *Client
	archive workflow.Archive
	inquiry workflow.Inquiry
	seen    workflow.StudyInPACS
}

func (l *look) run(ctx context.Context) (workflow.Sighting, error) {
	studies, err := l.studies(ctx)
	switch {
	case err != nil:
		return workflow.Sighting{}, err
	case len(studies) == 0:
		return workflow.Sighting{Answer: workflow.PACSAbsent}, nil
	case len(studies) > 1:
		return workflow.Sighting{Answer: workflow.PACSAmbiguous}, nil
	}
	if err := l.take(studies[0]); err != nil {
		return workflow.Sighting{}, err
	}
	series, err := l.pages(ctx, "/series", seriesMax, tagModality, tagBodyPart, tagLaterality, tagSeriesInstances)
	if err != nil {
		return workflow.Sighting{}, l.gone(err)
	}
	if err := l.takeSeries(ctx, studies[0], series); err != nil {
		return workflow.Sighting{}, l.gone(err)
	}
	return workflow.Sighting{Answer: workflow.PACSFound, Study: l.seen}, nil
}

// gone: a study that was found a moment ago and is 404 now has been removed or
// replaced; that is to be looked at again, and no fault of the settings.
func (l *look) gone(err error) error {
	if t, ok := errors.AsType[*trouble](err); ok && t.status == http.StatusNotFound {
		return &trouble{answer: workflow.PACSAbsent, reason: "removed", status: t.status}
	}
	return err
}

// studies searches by UID, else by accession number (PS3.18 section 10.6.1.1).
// What comes is compared again: a server may ignore what it does not know
// (section 8.3.4.1), and matches without regard to case.
func (l *look) studies(ctx context.Context) ([]dataset, error) {
	query := include(tagModalities, tagStudyInstances, tagAccession, tagAccessionIssuer, tagPatientIssuer, tagIssuerQualifiers, tagOtherIDs)
	tag, value := tagStudyUID, l.inquiry.UID
	if value == "" {
		tag, value = tagAccession, l.inquiry.Accession
	}
	query.Set(tag, value)
	query.Set("limit", strconv.Itoa(studiesMax+1))
	found, err := l.client.search(ctx, l.archive, "/studies", query)
	if err != nil {
		return nil, err
	}
	var studies []dataset
	for _, d := range found {
		uid, err := d.text(tagStudyUID)
		if err != nil {
			return nil, err
		}
		got, err := d.text(tag)
		if err != nil {
			return nil, err
		}
		if got != value || !isUID(uid) || slices.ContainsFunc(studies, func(s dataset) bool { return same(s, d) }) {
			continue
		}
		studies = append(studies, d)
	}
	if tag == tagStudyUID || len(studies) > studiesMax {
		return studies, nil
	}
	return l.ofIssuer(ctx, studies)
}

func same(a, b dataset) bool {
	x, _ := a.text(tagStudyUID)
	y, _ := b.text(tagStudyUID)
	return x == y
}

// ofIssuer leaves out the studies whose accession number is another issuer's:
// each department numbers its own. One whose issuer nobody knows stays.
func (l *look) ofIssuer(ctx context.Context, studies []dataset) ([]dataset, error) {
	if l.inquiry.AccessionSystem == "" {
		return studies, nil
	}
	var ours []dataset
	for _, d := range studies {
		if len(d[tagAccessionIssuer].Value) == 0 { // many a PACS does not tell it in a search
			uid, err := d.text(tagStudyUID)
			if err != nil {
				return nil, err
			}
			image, err := l.oneImage(ctx, "/studies/"+uid)
			if err != nil {
				return nil, l.gone(err)
			}
			d[tagAccessionIssuer] = image[tagAccessionIssuer]
		}
		system, err := systemOf(d, tagAccessionIssuer, "", l.archive)
		if err != nil {
			return nil, err
		}
		if system == "" || system == l.inquiry.AccessionSystem {
			ours = append(ours, d)
		}
	}
	return ours, nil
}

// oneImage is the metadata of the first instance below a path, WADO-RS, PS3.18
// section 10.4.1.1.2. An empty one is nil.
func (l *look) oneImage(ctx context.Context, path string) (dataset, error) {
	first, err := l.client.search(ctx, l.archive, path+"/instances", url.Values{"limit": {"1"}})
	if err != nil || len(first) == 0 {
		return nil, err
	}
	study, err := l.uidIn(first[0], tagStudyUID)
	if err != nil {
		return nil, err
	}
	series, err := l.uidIn(first[0], tagSeriesUID)
	if err != nil {
		return nil, err
	}
	instance, err := l.uidIn(first[0], tagInstanceUID)
	if err != nil {
		return nil, err
	}
	metadata, err := l.client.search(ctx, l.archive, "/studies/"+study+"/series/"+series+"/instances/"+instance+"/metadata", nil)
	if err != nil || len(metadata) == 0 {
		return nil, err
	}
	return metadata[0], nil
}

// uidIn is a UID that may stand in a path.
func (l *look) uidIn(d dataset, tag string) (string, error) {
	uid, err := d.text(tag)
	if err == nil && !isUID(uid) {
		err = errModel
	}
	return uid, err
}

// take notes what the study's own result says.
func (l *look) take(d dataset) (err error) {
	l.seen.PACS = l.archive.Name
	if l.seen.UID, err = d.text(tagStudyUID); err != nil {
		return err
	}
	if l.seen.Accession, err = d.text(tagAccession); err != nil {
		return err
	}
	if l.seen.Modalities, err = d.texts(tagModalities); err != nil {
		return err
	}
	l.seen.Patient, err = person(d, l.archive)
	return err
}

// takeSeries notes what the series say, and counts the instances.
func (l *look) takeSeries(ctx context.Context, study dataset, series []dataset) error {
	l.seen.Series = len(series)
	sum, untold := 0, false
	var silent []string // series that do not tell their side
	for _, d := range series {
		for tag, list := range map[string]*[]string{tagModality: &l.seen.Modalities, tagBodyPart: &l.seen.BodyParts} {
			if err := note(list, d, tag); err != nil {
				return err
			}
		}
		told, err := l.takeSides(d, tagLaterality)
		if err != nil {
			return err
		}
		if !told {
			uid, err := l.uidIn(d, tagSeriesUID)
			if err != nil {
				return err
			}
			silent = append(silent, uid)
		}
		n, counted, err := d.count(tagSeriesInstances)
		if err != nil {
			return err
		}
		sum, untold = sum+n, untold || !counted
	}
	if err := l.count(ctx, study, sum, untold); err != nil {
		return err
	}
	if !l.inquiry.Sides {
		return nil
	}
	for _, uid := range silent[:min(len(silent), sidesSeries)] {
		if err := l.askImages(ctx, uid); err != nil {
			return err
		}
	}
	return nil
}

// count takes the study's own number, else the sum of its series', else counts
// instance by instance: NumberOfStudyRelatedInstances and
// NumberOfSeriesRelatedInstances are computed, and some servers leave them out.
func (l *look) count(ctx context.Context, study dataset, sum int, untold bool) error {
	n, told, err := study.count(tagStudyInstances)
	switch {
	case err != nil:
		return err
	case told:
		l.seen.Instances = n
	case !untold:
		l.seen.Instances = sum
	default:
		all, err := l.pages(ctx, "/instances", countByMax)
		if err != nil {
			return err
		}
		l.seen.Instances = len(all)
	}
	return nil
}

// askImages asks the images of a series for their side, and one of them for all
// that it says where the search does not tell.
func (l *look) askImages(ctx context.Context, series string) error {
	path := "/studies/" + l.seen.UID + "/series/" + series
	query := include(tagImageLaterality, tagLaterality, tagBodyPart)
	query.Set("limit", strconv.Itoa(sidesImages))
	images, err := l.client.search(ctx, l.archive, path+"/instances", query)
	if err != nil {
		return err
	}
	told := false
	for _, image := range images {
		one, err := l.takeSides(image, tagLaterality, tagImageLaterality)
		if err != nil {
			return err
		}
		told = told || one
	}
	if told || len(images) == 0 {
		return nil
	}
	image, err := l.oneImage(ctx, path)
	if err != nil {
		return err
	}
	if _, err = l.takeSides(image, tagLaterality, tagImageLaterality); err != nil {
		return err
	}
	return note(&l.seen.BodyParts, image, tagBodyPart)
}

// sides, DICOM PS3.3 sections C.7.3.1 and C.8.11.7. U, unpaired, is none.
var sides = map[string]string{"L": "left", "R": "right", "B": "bilateral"}

// takeSides notes the sides that a result tells; told is also true for unpaired.
func (l *look) takeSides(d dataset, tags ...string) (told bool, err error) {
	for _, tag := range tags {
		texts, err := d.texts(tag)
		if err != nil {
			return false, err
		}
		for _, text := range texts {
			told = true
			if side := sides[strings.ToUpper(text)]; side != "" && !slices.Contains(l.seen.Sides, side) {
				l.seen.Sides = append(l.seen.Sides, side)
			}
		}
	}
	return told, nil
}

// note adds what a result says to a list, each once.
func note(list *[]string, d dataset, tag string) error {
	texts, err := d.texts(tag)
	for _, text := range texts {
		if !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	return err
}

// pages are all results below the study, page by page (PS3.18 section 8.3.4.4).
// A server that knows no paging sends all at once, or the first page again, of
// which each result counts once.
func (l *look) pages(ctx context.Context, path string, most int, tags ...string) ([]dataset, error) {
	key := map[string]string{"/series": tagSeriesUID, "/instances": tagInstanceUID}[path]
	seen := map[string]bool{}
	var all []dataset
	for len(all) < most {
		query := include(tags...)
		query.Set("limit", strconv.Itoa(page))
		query.Set("offset", strconv.Itoa(len(all)))
		found, err := l.client.search(ctx, l.archive, "/studies/"+l.seen.UID+path, query)
		if err != nil {
			return nil, err
		}
		before := len(all)
		for _, d := range found {
			uid, err := l.uidIn(d, key)
			if err != nil {
				return nil, err
			}
			if !seen[uid] {
				seen[uid] = true
				all = append(all, d)
			}
		}
		if len(found) < page || len(all) == before {
			return all, nil
		}
	}
	return nil, &trouble{answer: workflow.PACSUnreadable, reason: "study-too-large"}
}

// include asks for attributes beyond those that every result has (PS3.18 section
// 8.3.4.3).
func include(tags ...string) url.Values {
	query := url.Values{}
	for _, tag := range tags {
		query.Add("includefield", tag)
	}
	return query
}

// isUID: DICOM PS3.5 section 9.1. What stands in a path must be one.
func isUID(text string) bool {
	return text != "" && len(text) <= 64 && strings.Trim(text, "0123456789.") == "" &&
		!strings.HasPrefix(text, ".") && !strings.HasSuffix(text, ".") && !strings.Contains(text, "..")
}
