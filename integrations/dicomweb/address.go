package dicomweb

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/overread/overread/internal/fault"
)

// resource is what an address below the root of DICOMweb stands for: the part of
// QIDO-RS and WADO-RS (PS3.18 sections 10.4 and 10.6) that is passed on.
type resource struct {
	kind                    kind
	study, series, instance string // UIDs, as far as the address names them
	frames                  string // "1" or "1,2"
	bulk                    string // what stands below the instance
}

type kind int

const (
	searchStudies kind = iota
	searchSeries
	searchInstances
	metadata // of a series or an instance
	rendered
	frames
	bulkdata
	wholeInstance
)

// longestAddress has room for three UIDs and a list of frames.
const longestAddress = 768

var (
	frameList = regexp.MustCompile(`^[1-9][0-9]{0,5}(,[1-9][0-9]{0,5}){0,63}$`)
	bulkPath  = regexp.MustCompile(`^bulk(data)?(/[0-9A-Za-z_-]+)+$`)
)

// read understands an address. Each UID is one by PS3.5 section 9.1: nothing else
// that has to do with a path can stand in it.
func readAddress(path string) (resource, error) {
	if len(path) > longestAddress {
		return resource{}, fault.New(fault.Value, "the address is too long")
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var at resource
	for i, level := range []struct {
		name string
		uid  *string
	}{{"studies", &at.study}, {"series", &at.series}, {"instances", &at.instance}} {
		if len(parts) < 2*i+2 || parts[2*i] != level.name {
			break
		}
		if !isUID(parts[2*i+1]) {
			return at, fault.New(fault.Value, "what stands after %s in the address must be a DICOM UID: digits and dots, at most 64", level.name)
		}
		*level.uid = parts[2*i+1]
	}
	depth := 0
	for _, uid := range []string{at.study, at.series, at.instance} {
		if uid != "" {
			depth += 2
		}
	}
	rest := strings.Join(parts[min(depth, len(parts)):], "/")
	known := true
	switch {
	case depth == 0 && rest == "studies":
		at.kind = searchStudies
	case depth == 2 && rest == "series":
		at.kind = searchSeries
	case (depth == 2 || depth == 4) && rest == "instances":
		at.kind = searchInstances
	case depth >= 4 && rest == "metadata":
		at.kind = metadata
	case depth == 6:
		known = at.below(rest)
	default:
		known = false
	}
	if !known {
		return at, fault.New(fault.NotFound, "this is no address of DICOMweb that is passed on (docs/images.md)")
	}
	return at, nil
}

// below is what stands below an instance. A thumbnail is a small rendered image,
// since not every PACS has such.
func (at *resource) below(rest string) bool {
	switch rest {
	case "":
		at.kind = wholeInstance
		return true
	case "rendered", "thumbnail":
		at.kind = rendered
		return true
	}
	if bulkPath.MatchString(rest) {
		at.kind, at.bulk = bulkdata, rest
		return true
	}
	list, ok := strings.CutPrefix(rest, "frames/")
	if !ok {
		return false
	}
	list, image := strings.CutSuffix(list, "/rendered")
	if !frameList.MatchString(list) || image && strings.Contains(list, ",") {
		return false
	}
	at.kind, at.frames = frames, list
	if image {
		at.kind = rendered
	}
	return true
}

// path is the address at a PACS, below its root.
func (at resource) path() string {
	path := "/studies/" + at.study + "/series/" + at.series
	if at.instance != "" {
		path += "/instances/" + at.instance
	}
	switch at.kind {
	case metadata:
		path += "/metadata"
	case rendered:
		if at.frames != "" {
			path += "/frames/" + at.frames
		}
		path += "/rendered"
	case frames:
		path += "/frames/" + at.frames
	case bulkdata:
		path += "/" + at.bulk
	}
	return path
}

// renderedParameters are those of rendered images (PS3.18 section 8.3.5) that are
// passed on. annotation is not among them: it has the PACS write the patient's name
// into the picture.
var renderedParameters = map[string]*regexp.Regexp{
	"viewport": regexp.MustCompile(`^[1-9][0-9]{0,3},[1-9][0-9]{0,3}$`),
	"window":   regexp.MustCompile(`^-?[0-9]{1,6}(\.[0-9]{1,6})?,[0-9]{1,6}(\.[0-9]{1,6})?(,(linear|linear-exact|sigmoid))?$`),
	"quality":  regexp.MustCompile(`^(100|[1-9]?[0-9])$`),
}

// number is a parameter of paging, PS3.18 section 8.3.4.4.
func number(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Value, "limit and offset must be numbers")
	}
	return n, nil
}
