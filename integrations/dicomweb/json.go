package dicomweb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The DICOM JSON Model, PS3.18 annex F, as far as answers to searches need it.
// It is read strictly: names once and in their own case, tags as eight upper-case
// hexadecimal digits (F.2.2), every attribute with its VR (F.2.3), and within
// bounds. A server that writes something else is not understood, rather than
// half understood.

const (
	attributesMax = 2000 // of one data set
	valuesMax     = 1000 // of one attribute
	textMax       = 1024 // bytes of one value
)

// dataset is one result, its attributes by tag.
type dataset map[string]attribute

type attribute struct {
	VR           string           `json:"vr"`
	Value        []jsontext.Value `json:"Value,omitempty"`
	BulkDataURI  string           `json:"BulkDataURI,omitempty"`
	InlineBinary string           `json:"InlineBinary,omitempty"`
}

// Tags, by their names in PS3.6 chapter 6.
const (
	tagAccession        = "00080050"
	tagAccessionIssuer  = "00080051"
	tagModality         = "00080060"
	tagModalities       = "00080061"
	tagPatientName      = "00100010"
	tagPatientID        = "00100020"
	tagPatientIssuer    = "00100021"
	tagIssuerQualifiers = "00100024"
	tagBirthDate        = "00100030"
	tagSex              = "00100040"
	tagOtherIDs         = "00101002"
	tagBodyPart         = "00180015"
	tagStudyUID         = "0020000D"
	tagSeriesUID        = "0020000E"
	tagInstanceUID      = "00080018"
	tagLaterality       = "00200060"
	tagImageLaterality  = "00200062"
	tagStudyInstances   = "00201208"
	tagSeriesInstances  = "00201209"
	tagLocalNamespace   = "00400031"

	// of what is passed on, not of what the intake compares
	tagClass             = "00080016"
	tagDescription       = "00081030"
	tagSeriesDescription = "0008103E"
	tagSeriesNumber      = "00200011"
	tagInstanceNumber    = "00200013"
	tagStudySeries       = "00201206"
	tagRows              = "00280010"
	tagColumns           = "00280011"
	tagFrames            = "00280008"

	tagUniversalID   = "00400032"
	tagUniversalType = "00400033"
)

// representations are the VRs of the tags that are read, PS3.6 chapter 6.
var representations = map[string]string{
	tagAccession: "SH", tagAccessionIssuer: "SQ", tagModality: "CS", tagModalities: "CS",
	tagPatientName: "PN", tagPatientID: "LO", tagPatientIssuer: "LO", tagIssuerQualifiers: "SQ",
	tagBirthDate: "DA", tagSex: "CS", tagOtherIDs: "SQ", tagBodyPart: "CS",
	tagStudyUID: "UI", tagSeriesUID: "UI", tagInstanceUID: "UI", tagLaterality: "CS", tagImageLaterality: "CS",
	tagStudyInstances: "IS", tagSeriesInstances: "IS",
	tagLocalNamespace: "UT", tagUniversalID: "UT", tagUniversalType: "CS",
}

// errModel is what is wrong with an answer; it never quotes it.
var errModel = errors.New("no DICOM JSON")

// parse reads an answer: an array of data sets.
func parse(body []byte) ([]dataset, error) {
	var all []dataset
	if err := json.Unmarshal(body, &all, json.RejectUnknownMembers(true)); err != nil {
		return nil, errModel // its text may quote values
	}
	for _, d := range all {
		if err := d.check(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (d dataset) check() error {
	if d == nil || len(d) > attributesMax {
		return fmt.Errorf("%w: a result is null or too large", errModel)
	}
	for tag, a := range d {
		want, read := representations[tag]
		switch {
		case len(tag) != 8 || strings.Trim(tag, "0123456789ABCDEF") != "":
			return fmt.Errorf("%w: a name is no tag", errModel)
		case len(a.VR) != 2 || strings.Trim(a.VR, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
			return fmt.Errorf("%w: %s has no VR", errModel, tag)
		case read && a.VR != want && len(a.Value) > 0:
			return fmt.Errorf("%w: %s is not %s", errModel, tag, want)
		case read && len(a.Value) > valuesMax:
			return fmt.Errorf("%w: %s has too many values", errModel, tag)
		}
	}
	return nil
}

// texts are the values of an attribute of text, without the blanks around them
// and without those that are empty or null (F.2.5).
func (d dataset) texts(tag string) ([]string, error) {
	var texts []string
	for _, raw := range d[tag].Value {
		var text *string
		if err := json.Unmarshal(raw, &text); err != nil || text != nil && len(*text) > textMax {
			return nil, fmt.Errorf("%w: %s has a value that is no text, or too long", errModel, tag)
		}
		if text == nil {
			continue
		}
		if t := strings.Trim(*text, " \x00"); t != "" {
			texts = append(texts, t)
		}
	}
	return texts, nil
}

// text is the first value, "" where there is none.
func (d dataset) text(tag string) (string, error) {
	texts, err := d.texts(tag)
	if err != nil || len(texts) == 0 {
		return "", err
	}
	return texts[0], nil
}

// count is a number of instances; told is false where the server left it out. IS
// may come as a number or as its text (F.2.3).
func (d dataset) count(tag string) (n int, told bool, err error) {
	values := d[tag].Value
	if len(values) == 0 || string(values[0]) == "null" {
		return 0, false, nil
	}
	n, err = strconv.Atoi(strings.TrimSpace(strings.Trim(string(values[0]), `"`)))
	if err != nil || n < 0 || n > countMax {
		return 0, false, fmt.Errorf("%w: %s is no number of instances", errModel, tag)
	}
	return n, true, nil
}

const countMax = 10_000_000

// names are the component groups of the first person name (F.2.2).
func (d dataset) names(tag string) ([]string, error) {
	if len(d[tag].Value) == 0 || string(d[tag].Value[0]) == "null" {
		return nil, nil
	}
	var name struct {
		Alphabetic  string `json:"Alphabetic"`
		Ideographic string `json:"Ideographic"`
		Phonetic    string `json:"Phonetic"`
	}
	if err := json.Unmarshal(d[tag].Value[0], &name, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%w: %s is no person name", errModel, tag)
	}
	var groups []string
	for _, group := range []string{name.Alphabetic, name.Ideographic, name.Phonetic} {
		if len(group) > textMax {
			return nil, fmt.Errorf("%w: %s is too long", errModel, tag)
		}
		if group != "" {
			groups = append(groups, group)
		}
	}
	return groups, nil
}

// items are those of a sequence, PS3.18 F.2.2.
func (d dataset) items(tag string) ([]dataset, error) {
	var items []dataset
	for _, raw := range d[tag].Value {
		var item dataset
		if err := json.Unmarshal(raw, &item, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("%w: %s has an item that is none", errModel, tag)
		}
		if item == nil {
			continue
		}
		if err := item.check(); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}
