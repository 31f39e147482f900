package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/overread/overread/internal/phantom"
)

// fewImages is how many instances a sample's study has at most. The demo's images
// are phantoms; a real study of the kind has hundreds.
const fewImages = 6

// bodyParts are DICOM's words (PS3.16 annex L) for the sites of the samples.
var bodyParts = map[string]string{
	"12738006": "BRAIN", "51185008": "CHEST", "80248007": "BREAST", "72696002": "KNEE", "69536005": "HEAD",
	"818983003": "ABDOMEN", "41216001": "PROSTATE", "122496007": "LSPINE", "16953009": "ELBOW", "81040000": "CHEST",
	"10200004": "LIVER", "69748006": "THYROID", "38266002": "WHOLEBODY",
}

// images are those of the order's study that the PACS has.
func (o order) images() [][]byte {
	if o.quirk == noStudy {
		return nil
	}
	e, of := o.sample.Exam, o.imaged()
	st := phantom.Study{
		Patient: phantom.Patient{
			ID: of.mrn, Issuer: "HOSPITAL", Name: of.family + "^" + of.given,
			BirthDate: strings.ReplaceAll(of.born, "-", ""), Sex: strings.ToUpper(of.gender[:1]),
		},
		UID: o.studyUID(), Accession: o.accession(), AccessionIssuer: "HOSPITAL-RIS",
		Description: e.Display, At: o.taken(),
	}
	se := phantom.Series{
		UID: dicomUID("series " + o.made()), Number: 1, Modality: e.Modality, BodyPart: bodyParts[e.Site.Code],
		Laterality: map[string]string{"left": "L", "right": "R"}[o.side()],
	}
	var files [][]byte
	for i := range o.there() {
		files = append(files, phantom.Image{Study: st, Series: se, UID: dicomUID("image " + o.made() + " " + strconv.Itoa(i)), Number: i + 1}.File())
	}
	return files
}

// keepInPACS puts the images where the hospital keeps them.
func (o order) keepInPACS(ctx context.Context, p *demoPACS) error {
	files := o.images()
	if p == nil || len(files) == 0 {
		return nil
	}
	return p.Store(ctx, files...)
}

// said and there are how many images the ImagingStudy promises, and how many are there.
func (o order) said() int { return min(o.sample.Exam.Instances, fewImages) }

func (o order) there() int {
	if o.quirk == halfStudy {
		return o.said() / 2
	}
	return o.said()
}

// side is that of the study.
func (o order) side() string {
	side := o.sample.Exam.Laterality
	if o.quirk == otherSide {
		side = map[string]string{"left": "right", "right": "left"}[side]
	}
	return side
}

func (o order) accession() string { return "A" + o.made() }
