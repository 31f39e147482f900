package main

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // what the PACS renders
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/phantom"
	"github.com/overread/overread/workflow"
)

var imageInPage = regexp.MustCompile(`<img src="([^"]+)" alt="([^"]+)" width="(\d+)" height="(\d+)" loading="lazy"`)

// imagesIn are the addresses of the images of a page.
func imagesIn(text string) (all []string) {
	for _, found := range imageInPage.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(found[1], "&amp;", "&"))
	}
	return all
}

// noted is what the first reader has left in the PACS beside the images of an order.
func (o order) noted() (notes []phantom.Image) {
	st := phantom.Study{Patient: phantom.Patient{ID: o.patient.mrn, Issuer: "HOSPITAL", Name: o.patient.family + "^" + o.patient.given, BirthDate: strings.ReplaceAll(o.patient.born, "-", ""), Sex: strings.ToUpper(o.patient.gender[:1])},
		UID: o.studyUID(), Accession: o.accession(), AccessionIssuer: "HOSPITAL-RIS", At: o.at}
	for kind, class := range map[string]string{"SR": "1.2.840.10008.5.1.4.1.1.88.22", "KO": phantom.KeyObjects} {
		notes = append(notes, phantom.Image{Study: st, Series: phantom.Series{UID: dicomUID(kind + " of " + o.number), Number: 9, Modality: kind}, UID: dicomUID("the " + kind + " " + o.number), Number: 1, Class: class, Persons: "Original^Reader",
			Selects: map[string]*phantom.Selected{"KO": {Title: "113000", Series: dicomUID("series " + o.number), Images: []string{dicomUID("image " + o.number + " 4")}}}[kind]})
	}
	return notes
}

// TestImagesOfACaseOnThePagesOfWhoReadsIt: the strip, from the claim to the signature,
// and DICOMweb of the case beside it, before and after the first report is shown.
func TestImagesOfACaseOnThePagesOfWhoReadsIt(t *testing.T) {
	t.Parallel()
	w, log, dir := withPACS(t)
	o := w.knee("IMG-1")
	before := w.knee("IMG-0") // the same patient's knee, last year
	before.at = o.at.Add(-400 * 24 * time.Hour)
	w.becomes(t, w.sends(t, before, before.images()...), workflow.Ready, "", "")
	head := w.knee("IMG-9") // and their head, last month
	head.sample, head.at = samples["brain"], o.at.Add(-30*24*time.Hour)
	w.becomes(t, w.sends(t, head, head.images()...), workflow.Ready, "", "")
	r := &readingRoom{world: w, t: t, o: o, task: w.sends(t, o, o.images()...)}
	r.is(workflow.Ready)
	for _, n := range o.noted() {
		w.stores(t, n.File())
	}
	tanaka := r.comes("tanaka", access.Reader)

	if p := tanaka.page(); len(imagesIn(p.text)) != 0 || strings.Contains(p.text, "Key images") {
		t.Error("images are shown before the claim")
	}
	page := tanaka.does("/claim", nil)
	root := tanaka.base + "/case/" + r.task + "/dicomweb"
	shown := imagesIn(page.text)
	if len(shown) != 15 || !strings.Contains(page.text, "MR image 1 of 6, series 1") || !strings.Contains(page.text, "Earlier examination") || strings.Contains(page.text, w.pacs.Base) {
		t.Errorf("%d images on the page: %s", len(shown), page.text)
	}
	// The knee is open beside it, the head is closed though it is newer; a key goes through them.
	if open := regexp.MustCompile(`<details name="earlier"( open)?>`).FindAllStringSubmatch(page.text, -1); len(open) != 2 || open[0][1] == "" || open[1][1] != "" ||
		!strings.Contains(shown[len(shown)-1], head.studyUID()) || !strings.Contains(page.text, `data-next="earlier" data-key="v"`) || strings.Count(page.text, `loading="lazy"`) != len(shown) {
		t.Errorf("earlier examinations are shown as %v: %v", open, shown)
	}
	if !strings.Contains(page.text, "While you read blind") {
		t.Error("the page does not say that something is left out")
	}
	for _, found := range imageInPage.FindAllStringSubmatch(page.text, -1) {
		if strings.Contains(found[0], o.patient.family) || strings.Contains(found[0], o.patient.mrn) {
			t.Errorf("an image tells of the patient: %s", found[0])
		}
	}
	get := func(address string) seenPage { t.Helper(); return tanaka.get(address) }
	for _, address := range shown {
		got := get(address)
		picture, kind, err := image.Decode(bytes.NewReader([]byte(got.text)))
		if err != nil || kind != "jpeg" || picture.Bounds().Dy() != 416 || !strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox") || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %v", address, got.status, err, got.header)
		}
	}
	w.imagesOpened(t, 3) // the study and the two of before, once each

	// Nothing tells of the first reading until it is shown.
	study := root + "/studies/" + o.studyUID()
	ko := study + "/series/" + dicomUID("KO of IMG-1") + "/instances/" + dicomUID("the KO IMG-1")
	blind := func(when string) {
		t.Helper()
		for _, address := range []string{root + "/studies", study + "/series", study + "/instances", study + "/series/" + dicomUID("series IMG-1") + "/metadata"} {
			got := get(address)
			if got.status != http.StatusOK || strings.Contains(got.text, "Original") || strings.Contains(got.text, `"KO"`) || strings.Contains(got.text, `"SR"`) || strings.Contains(got.text, dicomUID("the SR IMG-1")) {
				t.Errorf("%s: %s: %d %s", when, address, got.status, got.text)
			}
		}
		for _, address := range []string{ko, ko + "/metadata", ko + "/rendered", study + "/series/" + dicomUID("SR of IMG-1") + "/metadata"} {
			if got := get(address); got.status != http.StatusNotFound {
				t.Errorf("%s: %s: %d", when, address, got.status)
			}
		}
	}
	blind("while reading")
	locked := tanaka.does("/write/lock", url.Values{"follows": {"0"}, "findings": {"A tear."}, "impression": {"Torn."}, "comparison": {"None."}})
	if len(imagesIn(locked.text)) != 15 {
		t.Error("the strip is gone when the opinion is locked")
	}
	blind("locked")
	compared := tanaka.does("/do/reveal", nil)
	if shown := imagesIn(compared.text); len(shown) != 10 || !strings.Contains(compared.text, "Selected in the PACS as key images") || !strings.Contains(shown[0], dicomUID("image IMG-1 4")) {
		t.Errorf("the comparison has %v", shown)
	}
	if got := get(ko + "/metadata"); got.status != http.StatusOK || !strings.Contains(got.text, "Original") {
		t.Errorf("after the reveal: %d %s", got.status, got.text)
	}
	w.imagesOpened(t, 3)

	// What is of another case, of another hospital, or changes something.
	other := w.knee("IMG-2")
	other.patient = people[""][1]
	w.becomes(t, w.sends(t, other, other.images()...), workflow.Ready, "", "")
	for address, status := range map[string]int{
		root + "/studies/" + other.studyUID() + "/series":                               http.StatusNotFound,
		root + "/studies/..%2f..%2fsystem":                                              http.StatusBadRequest,
		root + "/studies/1.2..3/series":                                                 http.StatusBadRequest,
		root + "/../../../../system":                                                    http.StatusNotFound,
		regexp.MustCompile(`\?.*`).ReplaceAllString(shown[0], "?url=http://127.0.0.1/"): http.StatusBadRequest,
		strings.Replace(shown[0], "/mercy/", "/lakeside/", 1):                           http.StatusNotFound,
		strings.Replace(shown[0], r.task, "nobody", 1):                                  http.StatusNotFound,
		strings.Replace(shown[0], "/reader/", "/supervisor/", 1):                        http.StatusNotFound,
	} {
		if got := get(address); got.status != status {
			t.Errorf("%s: %d %.200s", address, got.status, got.text)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if got := tanaka.do(tanaka.request(method, study+"/series", nil)); got.status < 400 || got.status >= 500 {
			t.Errorf("%s: %d", method, got.status)
		}
	}
	if got := tanaka.do(tanaka.request(http.MethodHead, strings.ReplaceAll(shown[0], "&amp;", "&"), nil)); got.status != http.StatusOK || got.text != "" || got.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("HEAD: %d %v", got.status, got.header)
	}
	stranger := (&peopleWorld{t: t, root: strings.TrimSuffix(w.base, "/fhir")}).visitor()
	if got := stranger.get(shown[0]); got.header.Get("Content-Type") == "image/jpeg" {
		t.Error("a stranger sees an image")
	}

	// A PACS that is down is said to be; a case that was cancelled shows nothing.
	if err := w.pacs.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := get(shown[0]); got.status != http.StatusServiceUnavailable {
		t.Errorf("an image of a PACS that is down: %d", got.status)
	}
	r2 := &readingRoom{world: w, t: t, o: other, task: must(taskOf(t.Context(), w.clients["mercy-placer"], other.number))}
	petrov := r2.comes("petrov", access.Reader)
	if p := petrov.does("/claim", nil); !strings.Contains(p.text, "The PACS does not answer") || len(imagesIn(p.text)) != 0 {
		t.Errorf("a page while the PACS is down: %s", p.text)
	}
	w.has(t, startOrthanc(t, dir))
	eventually(t, "the images are to come back", func() error {
		if p := petrov.get(petrov.base + "/case/" + r2.task + "?images=wait"); len(imagesIn(p.text)) == 0 {
			return fmt.Errorf("%s", p.text)
		}
		return nil
	})
	shown = imagesIn(petrov.page().text)
	if got := petrov.get(shown[0]); got.status != http.StatusOK {
		t.Errorf("an image of a PACS that is back: %d", got.status)
	}
	w.live(t, other, r2.task, chapter{"placer", "cancel", []*fhir.Node{param("reason", "valueString", "Read elsewhere.")}, workflow.Cancelled})
	if got := petrov.get(shown[0]); got.status != http.StatusNotFound {
		t.Errorf("an image of a cancelled case: %d", got.status)
	}
	if text := log.text(); strings.Contains(text, o.patient.family) || strings.Contains(text, w.pacs.Password) {
		t.Error("the log tells of the patient, or the password of the PACS")
	}
}

// opened: so many openings of images are in the audit log, each with patient and case.
func (w *world) imagesOpened(t *testing.T, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d openings of images are to be in the audit log", want), func() error { return w.imagesOpenedNow(t, want) })
}

func (w *world) imagesOpenedNow(t *testing.T, want int) error {
	t.Helper()
	var events int
	err := w.database.Owner(t).QueryRow(t.Context(), `SELECT count(*) FROM audit_event WHERE convert_from(body, 'UTF8') LIKE '%"images-opened"%' AND convert_from(body, 'UTF8') LIKE '%Task/%' AND convert_from(body, 'UTF8') LIKE '%Patient/%'`).Scan(&events)
	if err == nil && events != want {
		err = fmt.Errorf("%d are", events)
	}
	return err
}

// TestImagesOnTheClinicsPage: of the patient who was launched, and of nobody else.
func TestImagesOnTheClinicsPage(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	c.has(t, startOrthanc(t, t.TempDir()))
	bo := person{"700002", "Bo", "Zimmerli", "male", "1970-05-06"}
	hers, his := c.order(t, "mercy", "L-1", ada), c.order(t, "mercy", "L-3", bo)
	for _, o := range []order{hers, his} {
		c.becomes(t, must(taskOf(t.Context(), c.clients["mercy-placer"], o.number)), workflow.Ready, "", "")
	}
	b := newBrowser(t)
	early := c.opened(b, c.launch(b, "mercy", hers))
	other := c.opened(b, c.launch(b, "mercy", his))
	for _, p := range []page{early, other} {
		shown := imagesIn(p.text)
		if len(shown) != 6 || !strings.Contains(p.header.Get("Content-Security-Policy"), "img-src 'self'") {
			t.Fatalf("%d images: %s", len(shown), p.said())
		}
		got := b.get(c.root + shown[0])
		if _, kind, err := image.Decode(strings.NewReader(got.text)); err != nil || kind != "jpeg" {
			t.Errorf("%d %v", got.status, err)
		}
	}
	mine, his1 := imagesIn(early.text)[0], imagesIn(other.text)[0]
	_, below, _ := strings.Cut(his1, "/dicomweb/")
	at, _, _ := strings.Cut(mine, "/dicomweb/")
	if got := b.get(c.root + at + "/dicomweb/" + below); got.status != http.StatusNotFound {
		t.Errorf("the image of somebody else: %d", got.status)
	}
	session, _, _ := strings.Cut(mine, "/opinion/")
	_, foreign, _ := strings.Cut(his1, "/opinion/")
	if got := b.get(c.root + session + "/opinion/" + foreign); got.status != http.StatusNotFound {
		t.Errorf("the case of somebody else: %d", got.status)
	}
	if got := newBrowser(t).get(c.root + mine); got.status != http.StatusUnauthorized {
		t.Errorf("without the session: %d", got.status)
	}
}
