package viewer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of the package: the real one has 249 files, of which the largest kept has 17 MB.
const (
	fileMax     = 64 << 20
	unpackedMax = 400 << 20
	filesMax    = 2000
)

// made says in the folder what is in it. It is written last.
const made = "overread-viewer.json"

type about struct {
	Package, Version, SHA256 string
	Files                    int
}

// leftOut is what is not needed of the package and would only be more to serve: an
// engine for neural networks, the viewer of microscopy, sign-in of its own, a service
// worker, maps of sources, and the configuration that points at servers of others.
func leftOut(name string) bool {
	for _, folder := range []string{"ort/", "dicom-microscopy-viewer/", "customizations/"} {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return strings.HasSuffix(name, ".map") || slices.Contains([]string{"app-config.js", "google.js", "oidc-client.min.js", "silent-refresh.html", "sw.js", "init-service-worker.js", "_headers", "_redirects", "serve.json"}, name)
}

// Fetch has npm get the package, into a folder of its own, and returns the file. npm
// knows the registry, proxies and credentials of the house.
func Fetch(ctx context.Context, folder string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm is not installed, which gets the package; or get it elsewhere (npm pack %s@%s) and give it with --from", Package, Version)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, Package+"@"+Version)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm pack %s@%s: %w: %s", Package, Version, err, strings.TrimSpace(said.String()))
	}
	found, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack left %d files", len(found))
	}
	return found[0], nil
}

// Install checks a package file and unpacks it into dir, of which nothing else is left:
// the new one takes the place of the old one when it is whole.
func Install(file, dir string) error { return install(file, dir, SHA256) }

func install(file, dir, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s is not %s@%s: its SHA-256 is %s, and %s is wanted", file, Package, Version, got, want)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := replaceable(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), ".viewer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	files, err := unpack(f, fresh)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", file, err)
	}
	text, err := json.MarshalIndent(about{Package, Version, want, files}, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(fresh, made), text, 0o644) //nolint:gosec // nothing secret
	}
	if err == nil {
		err = os.Chmod(fresh, 0o755) //nolint:gosec // nothing secret
	}
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

// replaceable refuses to take away a folder that is something else.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, made)); err != nil {
		return fmt.Errorf("%s is not empty, and no viewer is in it: give a folder of its own", dir)
	}
	return nil
}

// unpack writes the files of the package's dist that are needed. A name that leads
// anywhere else, or anything but a plain file, is an error.
func unpack(r io.Reader, dir string) (files int, err error) {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return 0, err
	}
	in := tar.NewReader(unzipped)
	left := int64(unpackedMax)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		name, ok := strings.CutPrefix(h.Name, "package/dist/")
		if !ok || h.Typeflag == tar.TypeDir || leftOut(name) {
			continue
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) || path.Clean(name) != name || strings.ContainsAny(name, `\:`) {
			return 0, fmt.Errorf("%q is no plain file below dist", h.Name)
		}
		if left -= h.Size; h.Size > fileMax || left < 0 || files >= filesMax {
			return 0, errors.New("it is larger than the viewer is")
		}
		files++
		if err := writeFile(in, h.Size, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return 0, err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "index.html")); err != nil {
		return 0, errors.New("there is no dist/index.html in it")
	}
	return files, nil
}

// zipped are files that are kept compressed beside themselves, for browsers that take
// them so.
var zipped = []string{".js", ".css", ".html", ".json", ".svg", ".wasm"}

func writeFile(r io.Reader, size int64, to string) error {
	content, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, content, 0o644); err != nil { //nolint:gosec // nothing secret
		return err
	}
	if !slices.Contains(zipped, filepath.Ext(to)) {
		return nil
	}
	var small bytes.Buffer
	w, _ := gzip.NewWriterLevel(&small, gzip.BestCompression) // the level is one
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(to+".gz", small.Bytes(), 0o644) //nolint:gosec // nothing secret
}
