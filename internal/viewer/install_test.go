package viewer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packed is a package file with these entries, and its SHA-256.
func packed(t *testing.T, entries ...tar.Header) (file, sum string) {
	t.Helper()
	var text bytes.Buffer
	zipped := gzip.NewWriter(&text)
	out := tar.NewWriter(zipped)
	for _, h := range entries {
		content := "content of " + h.Name
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(content))
		}
		h.Mode = 0o777
		if err := out.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := out.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "app.tgz")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(text.Bytes())
	return file, hex.EncodeToString(hash[:])
}

func TestAViewerIsInstalledWithoutWhatItDoesNotNeed(t *testing.T) {
	t.Parallel()
	file, sum := packed(t, tar.Header{Name: "package/package.json"}, tar.Header{Name: "package/dist/index.html"}, tar.Header{Name: "package/dist/a/b.js"}, tar.Header{Name: "package/dist/b.js.map"},
		tar.Header{Name: "package/dist/app-config.js"}, tar.Header{Name: "package/dist/sw.js"}, tar.Header{Name: "package/dist/ort/ort.wasm"}, tar.Header{Name: "package/dist/dicom-microscopy-viewer/x.js"})
	dir := filepath.Join(t.TempDir(), "deep", "viewer")
	for range 2 { // the second time it takes the place of the first
		if err := install(file, dir, sum); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if got := strings.Join(names, " "); err != nil || got != "a/b.js a/b.js.gz index.html index.html.gz overread-viewer.json" {
		t.Errorf("%s %v", got, err)
	}
	if others, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".viewer-*")); err != nil || len(others) > 0 {
		t.Errorf("left behind: %v", others)
	}
}

func TestAPackageThatIsAnotherIsNotInstalled(t *testing.T) {
	t.Parallel()
	index := tar.Header{Name: "package/dist/index.html"}
	for name, entries := range map[string][]tar.Header{
		"a way out":        {index, {Name: "package/dist/../../../../etc/x.js"}},
		"an absolute name": {index, {Name: "package/dist//etc/x.js"}},
		"a link":           {index, {Name: "package/dist/x.js", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}},
		"a hard link":      {index, {Name: "package/dist/x.js", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
		"a backslash":      {index, {Name: `package/dist/a\b.js`}},
		"there is no page": {{Name: "package/dist/a.js"}},
		"there is nothing": {},
		"a device":         {index, {Name: "package/dist/x.js", Typeflag: tar.TypeBlock}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, sum := packed(t, entries...)
			dir := filepath.Join(t.TempDir(), "viewer")
			if err := install(file, dir, sum); err == nil {
				t.Error("it was installed")
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("something is there")
			}
		})
	}
	file, sum := packed(t, index)
	dir := t.TempDir()
	if err := Install(file, filepath.Join(dir, "viewer")); err == nil || !strings.Contains(err.Error(), SHA256) || !strings.Contains(err.Error(), sum) {
		t.Errorf("another file than the pinned one: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := install(file, dir, sum); err == nil {
		t.Error("a folder with something else in it was replaced")
	}
	if _, err := New(Config{Dir: dir}); err == nil {
		t.Error("a folder without a viewer is served")
	}
}
