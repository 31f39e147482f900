package screen

import "time"

// Gallery is what a page shows of the images of a case.
type Gallery struct {
	State  GalleryState
	Veiled bool // nothing is shown but what the modality has made
	Strips []Strip
	Viewer bool   // the viewer that comes with this server can be opened
	Own    string // the address of the hospital's own viewer, "" for none
}

// GalleryState is whether there are images to show.
type GalleryState string

// The states of a gallery.
const (
	NoPACS      GalleryState = "none"    // the hospital has none here
	PACSSilent  GalleryState = "silent"  // it does not answer
	PACSSlow    GalleryState = "slow"    // it has not answered yet
	PACSHasNone GalleryState = "absent"  // it has not got the study, or nothing in it that can be shown
	Shown       GalleryState = "shown"   // there are
	NotShown    GalleryState = "nothing" // the page has none: no study, or an ended case
)

// Strip is some images of a study.
type Strip struct {
	Prior    bool
	Alike    bool // of those of before the one to compare with
	Title    string
	On       time.Time
	Number   string // accession number
	Images   []Image
	All      int // how many there are
	Selected bool
}

// Image is one rendered image: Path is below the root of DICOMweb of the page.
type Image struct {
	Path, Modality string
	Series         int
	Number, Of     int
	Width, Height  int // as it is shown
}
