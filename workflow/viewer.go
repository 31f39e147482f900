package workflow

import (
	"context"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// HospitalViewer is where a hospital shows a study in a viewer of its own.
type HospitalViewer struct {
	URL          ViewerURL `json:"url"`
	WhileBlinded bool      `json:"whileBlinded,omitzero"` // it shows nothing of the first reading
}

// ViewerURL is the address of a study in a viewer, with places for what names the
// study. Nothing that names the patient can be among them.
type ViewerURL string

// viewerPattern is the form of a ViewerURL: the places are below the host, so that what
// is put there cannot lead elsewhere, and there is one of them at least.
const viewerPattern = `^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/[A-Za-z0-9._~/?#=&%:,;+-]*(\{StudyInstanceUID\}|\{AccessionNumber\})([A-Za-z0-9._~/?#=&%:,;+-]|\{StudyInstanceUID\}|\{AccessionNumber\})*$`

// Of is the address of a study; "" where something that it wants is not known.
func (u ViewerURL) Of(uid, accession string) string {
	address := string(u)
	for place, value := range map[string]string{"{StudyInstanceUID}": uid, "{AccessionNumber}": accession} {
		if value == "" && strings.Contains(address, place) {
			return ""
		}
		address = strings.ReplaceAll(address, place, strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
	}
	return address
}

// ViewerTx is the viewer of the tenant's policy as it is now, nil where there is none.
func ViewerTx(ctx context.Context, tx pgx.Tx) (*HospitalViewer, error) {
	now, err := policyTx(ctx, tx)
	return now.policy.Viewer, err
}
