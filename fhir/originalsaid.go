package fhir

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Versions of a first report that say something else are told apart from those in which
// only who read it, its meta, identifiers or narrative changed: an EHR sends a report
// again for many reasons, and of most of them nobody has to compare it again.

// saidOfOriginal is a digest of what the original says: its words and codes, its forms, and what
// its Observations say, whatever their ids are. The narrative repeats them (FHIR R4
// narrative.html: generated), and counts only where there is nothing else.
func (d *dossier) saidOfOriginal() string {
	n, sum := d.original.Node, sha256.New()
	something := false
	say := func(element string, words ...string) {
		for _, w := range words {
			if w = strings.Join(strings.Fields(w), " "); w != "" {
				something = true
				_, _ = fmt.Fprintf(sum, "%s %s\n", element, w)
			}
		}
	}
	say("conclusion", n.Text("conclusion"))
	for _, code := range n.Each("conclusionCode") {
		say("conclusionCode", coded(code))
	}
	for _, form := range n.Each("presentedForm") {
		kind, _, _ := strings.Cut(strings.ToLower(form.Text("contentType")), ";") // "text/plain; charset=utf-8" is text/plain
		say("presentedForm", kind)
		switch data, hash := form.Text("data"), form.Text("hash"); {
		case data != "":
			say("data", formData(kind, data))
		case hash != "": // of the same content, which an EHR may keep under an address that is new each time
			say("hash", hash)
		default:
			say("elsewhere", form.Text("url"))
		}
	}
	for _, picture := range n.Each("media") {
		say("media", picture.Text("comment"), picture.Text("link", "reference"))
	}
	kept := map[string]*Node{}
	for _, f := range d.originalResults {
		kept[f.Type()+"/"+f.id()] = f.Node
	}
	for _, ref := range n.Each("result") {
		literal := parseReference(ref.Text("reference")).relative()
		switch inside := contained(n, strings.TrimPrefix(ref.Text("reference"), "#")); {
		case kept[literal] != nil:
			saidByObservation(sum, kept[literal])
		case inside != nil:
			saidByObservation(sum, inside)
		default:
			say("result", ref.Text("reference"), ref.Text("identifier", "value"), ref.Text("display"))
		}
		something = true
	}
	if !something {
		say("text", wordsOf(n.Text("text", "div")))
	}
	return saidAs + hex.EncodeToString(sum.Sum(nil))
}

// formData is what is in a form: of a text its words, whichever way its lines end (FHIR R4
// Attachment.data: base64, which an EHR may break into lines).
func formData(kind, data string) string {
	data = strings.Join(strings.Fields(data), "")
	if !strings.HasPrefix(kind, "text/") {
		return data
	}
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return data
	}
	return string(text)
}

// saidAs tells this digest from the one of earlier releases, which cases have noted.
const saidAs = "2 "

// observationSays are the elements of an Observation that say something.
var observationSays = []string{"code", "valueQuantity", "valueCodeableConcept", "valueString", "valueBoolean", "valueInteger", "valueRange", "valueRatio",
	"valueDateTime", "valuePeriod", "valueTime", "valueSampledData", "dataAbsentReason", "interpretation", "note", "bodySite", "component"}

func saidByObservation(sum io.Writer, n *Node) {
	for _, element := range observationSays {
		for _, v := range n.Each(element) {
			_, _ = fmt.Fprintf(sum, "result %s %s\n", element, v.Bytes())
		}
	}
	if n.Text("status") == "entered-in-error" {
		_, _ = fmt.Fprintln(sum, "result withdrawn")
	}
}

// coded is a concept by its codes, and by its words where it has none.
func coded(concept *Node) string {
	var codes []string
	for _, c := range concept.Each("coding") {
		codes = append(codes, c.Text("system")+"|"+c.Text("code"))
	}
	if codes == nil {
		return concept.Text("text")
	}
	return strings.Join(codes, " ")
}

// whatIsSaid are the elements of a report that its words and codes are in.
var whatIsSaid = []string{"conclusion", "conclusionCode", "presentedForm", "text", "result", "media"}

// digestOfSaid is the digest of earlier releases.
func digestOfSaid(report *Node) string {
	sum := sha256.New()
	for _, element := range whatIsSaid {
		for _, n := range report.Each(element) {
			_, _ = fmt.Fprintf(sum, "%s %s\n", element, n.Bytes())
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
