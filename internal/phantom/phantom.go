// Package phantom draws images of nobody, as DICOM files: what the demo and the
// tests put into a PACS. Each says within the picture, and in its tags, that it
// is synthetic. It writes what a PACS indexes and no more; it is no library for
// DICOM.
package phantom

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"time"
)

// Patient is whom the images are said to be of.
type Patient struct {
	ID        string
	Issuer    string // of the ID, as the PACS calls it; "" leaves it out
	Name      string // family^given, DICOM PS3.5 section 6.2.1
	BirthDate string // YYYYMMDD
	Sex       string // M, F, O
}

// Study is one study of a patient.
type Study struct {
	Patient         Patient
	UID             string
	Accession       string
	AccessionIssuer string // its local namespace, "" leaves it out
	Description     string
	At              time.Time
}

// Series is one series of a study. What is "" is left out.
type Series struct {
	UID        string
	Number     int
	Modality   string
	BodyPart   string
	Laterality string // L, R
}

// Image is one instance.
type Image struct {
	Study      Study
	Series     Series
	UID        string
	Class      string // SOP Class UID; "": that of images of the modality
	Number     int
	Laterality string    // ImageLaterality: L, R, B, U
	Persons    string    // who has read it, OperatorsName and NameOfPhysiciansReadingStudy; "" leaves them out
	Selects    *Selected // a Key Object Selection; nil for none
}

const (
	storageClasses   = "1.2.840.10008.5.1.4.1.1."
	secondaryCapture = storageClasses + "7"
	explicitLittle   = "1.2.840.10008.1.2.1"
	ourClass         = "2.25.258129465109213571203471109823457106" // Implementation Class UID
)

// classes are the storage classes of images by modality (PS3.4 table B.5-1).
var classes = map[string]string{"CR": "1", "DX": "1.1", "MG": "1.2", "CT": "2", "US": "6.1", "MR": "4", "NM": "20", "XA": "12.1", "RF": "12.2", "PT": "128"}

// class is the image's own, else that of its modality, else a secondary capture.
func (i Image) class() string {
	switch class, known := classes[i.Series.Modality]; {
	case i.Class != "":
		return i.Class
	case known:
		return storageClasses + class
	}
	return secondaryCapture
}

// File is the image as a file, DICOM PS3.10 section 7, in Explicit VR Little
// Endian.
func (i Image) File() []byte {
	meta := set{
		{0x00020001, "OB", []byte{0, 1}},
		text(0x00020002, "UI", i.class()),
		text(0x00020003, "UI", i.UID),
		text(0x00020010, "UI", explicitLittle),
		text(0x00020012, "UI", ourClass),
	}.encode()
	var file bytes.Buffer
	file.Write(make([]byte, 128))
	file.WriteString("DICM")
	file.Write(set{number(0x00020000, "UL", len(meta))}.encode())
	file.Write(meta)
	file.Write(i.elements().encode())
	return file.Bytes()
}

func (i Image) elements() set {
	st, se, p := i.Study, i.Series, i.Study.Patient
	all := set{
		text(0x00080005, "CS", "ISO_IR 192"), // UTF-8
		text(0x00080008, "CS", `DERIVED\SECONDARY`),
		text(0x00080016, "UI", i.class()),
		text(0x00080018, "UI", i.UID),
		text(0x00080020, "DA", st.At.Format("20060102")),
		text(0x00080030, "TM", st.At.Format("150405")),
		text(0x00080050, "SH", st.Accession),
		text(0x00080060, "CS", se.Modality),
		text(0x00080064, "CS", "SYN"), // ConversionType: synthetic image
		text(0x00080070, "LO", "Overread phantom"),
		text(0x00080090, "PN", ""),
		text(0x00081030, "LO", st.Description),
		text(0x0008103E, "LO", "SYNTHETIC"),
		text(0x00100010, "PN", p.Name),
		text(0x00100020, "LO", p.ID),
		text(0x00100030, "DA", p.BirthDate),
		text(0x00100040, "CS", p.Sex),
		text(0x0020000D, "UI", st.UID),
		text(0x0020000E, "UI", se.UID),
		text(0x00200010, "SH", "1"),
		text(0x00200011, "IS", strconv.Itoa(se.Number)),
		text(0x00200013, "IS", strconv.Itoa(i.Number)),
		number(0x00280002, "US", 1),
		text(0x00280004, "CS", "MONOCHROME2"),
		number(0x00280010, "US", size),
		number(0x00280011, "US", size),
		number(0x00280100, "US", 8),
		number(0x00280101, "US", 8),
		number(0x00280102, "US", 7),
		number(0x00280103, "US", 0),
		text(0x00280301, "CS", "YES"), // BurnedInAnnotation
		{0x7FE00010, "OB", i.picture()},
	}
	for _, optional := range []element{
		text(0x00100021, "LO", p.Issuer),
		text(0x00180015, "CS", se.BodyPart),
		text(0x00200060, "CS", se.Laterality),
		text(0x00200062, "CS", i.Laterality),
		text(0x00081060, "PN", i.Persons),
		text(0x00081070, "PN", i.Persons),
	} {
		if len(optional.value) > 0 {
			all = append(all, optional)
		}
	}
	if st.AccessionIssuer != "" { // IssuerOfAccessionNumberSequence
		all = append(all, sequence(0x00080051, set{text(0x00400031, "UT", st.AccessionIssuer)}))
	}
	if i.Selects != nil {
		all = append(all, i.Selects.elements(st)...)
	}
	slices.SortFunc(all, func(a, b element) int { return cmp.Compare(a.tag, b.tag) })
	return all
}

// element is one data element.
type element struct {
	tag   uint32
	vr    string
	value []byte
}

type set []element

// long are the value representations whose length has four bytes, PS3.5 section
// 7.1.2.
var long = []string{"OB", "OW", "SQ", "UN", "UT"}

func (s set) encode() []byte {
	var out []byte
	for _, e := range s {
		out = binary.LittleEndian.AppendUint16(out, uint16(e.tag>>16))
		out = binary.LittleEndian.AppendUint16(out, uint16(e.tag&0xffff))
		out = append(out, e.vr...)
		if slices.Contains(long, e.vr) {
			out = append(out, 0, 0)
			out = binary.LittleEndian.AppendUint32(out, uint32(len(e.value))) //nolint:gosec // an image of ours is small
		} else {
			out = binary.LittleEndian.AppendUint16(out, uint16(len(e.value))) //nolint:gosec // likewise
		}
		out = append(out, e.value...)
	}
	return out
}

// text is padded to an even length, PS3.5 section 6.2.
func text(tag uint32, vr, value string) element {
	raw := []byte(value)
	if len(raw)%2 == 1 {
		pad := byte(' ')
		if vr == "UI" {
			pad = 0
		}
		raw = append(raw, pad)
	}
	return element{tag, vr, raw}
}

func number(tag uint32, vr string, n int) element {
	if vr == "UL" {
		return element{tag, vr, binary.LittleEndian.AppendUint32(nil, uint32(n))} //nolint:gosec // likewise
	}
	return element{tag, vr, binary.LittleEndian.AppendUint16(nil, uint16(n))} //nolint:gosec // likewise
}

// sequence of items, PS3.5 section 7.5.
func sequence(tag uint32, items ...set) element {
	var value []byte
	for _, item := range items {
		inside := item.encode()
		value = append(value, 0xfe, 0xff, 0x00, 0xe0)
		value = binary.LittleEndian.AppendUint32(value, uint32(len(inside))) //nolint:gosec // likewise
		value = append(value, inside...)
	}
	return element{tag, "SQ", value}
}
