package orthanc

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// place is where an Orthanc is.
type place struct {
	program, plugin string
	env             []string
}

// find looks where OVERREAD_ORTHANC says, where Debian installs it, and where
// scripts/ensure unpacks it: .overread/orthanc in the working folder or one
// above it.
func find() (place, error) {
	roots := []string{os.Getenv("OVERREAD_ORTHANC"), "/"}
	if dir, err := os.Getwd(); err == nil {
		for ; ; dir = filepath.Dir(dir) {
			roots = append(roots, filepath.Join(dir, ".overread", "orthanc"))
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	for _, root := range roots {
		if root == "" {
			continue
		}
		at := place{
			program: filepath.Join(root, "usr/sbin/Orthanc"),
			plugin:  filepath.Join(root, "usr/share/orthanc/plugins/libOrthancDicomWeb.so"),
		}
		if !exists(at.program) || !exists(at.plugin) {
			continue
		}
		if root != "/" {
			at.env = unpacked(root)
		}
		return at, nil
	}
	return place{}, ErrNotInstalled
}

// unpacked tells an Orthanc that is not where Debian puts it where its
// libraries are, and DCMTK's dictionary.
func unpacked(root string) []string {
	libraries, _ := filepath.Glob(filepath.Join(root, "usr/lib", "*-linux-gnu*"))
	if before := os.Getenv("LD_LIBRARY_PATH"); before != "" { // an empty one would be the working folder
		libraries = append(libraries, before)
	}
	env := []string{"LD_LIBRARY_PATH=" + strings.Join(libraries, string(filepath.ListSeparator))}
	if dictionaries, _ := filepath.Glob(filepath.Join(root, "usr/share/libdcmtk*/dicom.dic")); len(dictionaries) > 0 {
		env = append(env, "DCMDICTPATH="+dictionaries[0])
	}
	return env
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil && runtime.GOOS == "linux"
}
