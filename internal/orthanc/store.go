package orthanc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
)

// Store puts DICOM files there, by STOW-RS (DICOM PS3.18 section 10.5).
func (s *Server) Store(ctx context.Context, files ...[]byte) error {
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, file := range files {
		part, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/dicom"}})
		if err != nil {
			return err
		}
		if _, err := part.Write(file); err != nil {
			return err
		}
	}
	if err := parts.Close(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Base+"/studies", &body)
	if err != nil {
		return err
	}
	req.Close = true // Orthanc drops an idle connection after a second, and a POST is not sent anew by itself
	req.SetBasicAuth(s.User, s.Password)
	req.Header.Set("Content-Type", `multipart/related; type="application/dicom"; boundary=`+parts.Boundary())
	req.Header.Set("Accept", "application/dicom+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("STOW-RS: %d %s", res.StatusCode, answer)
	}
	return err
}
