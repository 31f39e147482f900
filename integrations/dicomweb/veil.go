package dicomweb

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What tells of the first reading, and so is not for who reads blind: objects that a
// person has made after the examination, and what stands within the images about who
// has read them, where, and what they noted.

// pictures are the classes of images as modalities make them, PS3.4 table B.5-1. It is
// a list of what is shown, so that a class that nobody knew when this was written
// (a kind of report, of marks, of segmentation) tells nothing. Secondary captures
// are not among them: screens of a workstation with its marks are kept as such, and
// scanned reports.
var pictures = map[string]bool{
	"1": true, "1.1": true, "1.1.1": true, "1.2": true, "1.2.1": true, "1.3": true, "1.3.1": true, // radiography, mammography, intraoral
	"2": true, "2.1": true, "2.2": true, // CT
	"3": true, "3.1": true, "6": true, "6.1": true, "6.2": true, "6.3": true, // ultrasound
	"4": true, "4.1": true, "4.3": true, "4.4": true, // MR
	"5": true, "20": true, // nuclear medicine
	"12.1": true, "12.1.1": true, "12.2": true, "12.2.1": true, "12.3": true, // angiography, fluoroscopy
	"13.1.1": true, "13.1.2": true, "13.1.3": true, "13.1.4": true, "13.1.5": true, // 3D angiography, tomosynthesis
	"14.1": true, "14.2": true, // intravascular OCT
	"77.1.1": true, "77.1.1.1": true, "77.1.2": true, "77.1.2.1": true, "77.1.3": true, "77.1.4": true, "77.1.4.1": true,
	"77.1.5.1": true, "77.1.5.2": true, "77.1.5.4": true, "77.1.6": true, "77.1.7": true, "77.1.8": true, // visible light, ophthalmic
	"128": true, "128.1": true, "130": true, // PET
}

const storageClasses = "1.2.840.10008.5.1.4.1.1."

// isPicture tells it of a SOP Class UID.
func isPicture(class string) bool {
	short, ok := strings.CutPrefix(class, storageClasses)
	return ok && pictures[short]
}

// notes are modalities of objects that people make (PS3.3 section C.7.3.1.1.1): a
// series that says it is one of these is one, whatever its instances are.
var notes = []string{"SR", "KO", "PR", "DOC", "SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "REG", "FID", "SMR", "AU", "PLAN", "ANN", "HC", "OT", "M3D", "TEXTUREMAP"}

// tellsOfReading tells it of an attribute. Persons besides the patient, and what is
// private to a maker, are left out whatever they are.
func tellsOfReading(tag, vr string) bool {
	group, err := strconv.ParseUint(tag[:4], 16, 16)
	return err != nil || vr == "PN" && tag != tagPatientName || vr == "UN" || group%2 == 1 || // private: PS3.5 section 7.8
		group == 0x4008 || group&0xff00 == 0x6000 || group&0xff00 == 0x5000 || // results (retired), overlays and curves, which workstations write
		slices.Contains(tellingTags, tag)
}

// tellingTags, by their names in PS3.6 chapter 6: those of PS3.15 table E.1-1 that
// name who has read, where, or what they noted.
var tellingTags = []string{
	"00080080", "00080081", "00080082", // institution
	"00081010", "00081040", "00081041", // station, department
	"00081049", "00081052", "00081062", "00081072", "00080096", "0008009D", // who they are
	"00081080", "00081084", // admitting diagnoses
	"00081110", "00081111", "00081115", "00081200", // studies, procedure steps and objects that are referred to
	"00082111", "00204000", "00324000", "00104000", "00402400", "00400280", "0018A003", // derivation, comments
	"0032000A", "0032000C", "00321030", "00321031", "00321032", "00321033", "00321070", // state of the reading, requesting service
	"00380010", "00380040", "00380300", "00400275", "0040A730", "00700001", "0040A124",
	"0040E010", "0040DB73",
}

// locators are addresses at the PACS: they are never passed on.
var locators = []string{"00081190", "00404010", "00080054"}

// clean takes out of a data set what is not for whoever asks, and leads what is kept
// elsewhere (BulkDataURI) through us. It goes into sequences.
func clean(d dataset, veiled bool, bulk func(uri string) (string, bool)) error {
	for tag, a := range d {
		if a.VR == "UR" || slices.Contains(locators, tag) || veiled && tellsOfReading(tag, a.VR) {
			delete(d, tag)
			continue
		}
		if a.BulkDataURI != "" {
			at, ok := bulk(a.BulkDataURI)
			if !ok {
				delete(d, tag)
				continue
			}
			a.BulkDataURI = at
			d[tag] = a
		}
		if a.VR != "SQ" {
			continue
		}
		items, err := d.items(tag)
		if err != nil {
			return err
		}
		a.Value = nil
		for _, item := range items {
			if err := clean(item, veiled, bulk); err != nil {
				return err
			}
			text, err := json.Marshal(item, json.Deterministic(true))
			if err != nil {
				return err
			}
			a.Value = append(a.Value, jsontext.Value(text))
		}
		d[tag] = a
	}
	return nil
}
