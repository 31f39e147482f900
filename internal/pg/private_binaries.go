package pg

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	embedded "github.com/fergusstrange/embedded-postgres"
)

const oldestMajor = 15

// errNoPostgreSQL says what to do where there is no PostgreSQL at all.
var errNoPostgreSQL = fmt.Errorf("no PostgreSQL %d or later is installed: install it (Debian, Ubuntu: apt-get install postgresql), "+
	"or run as an ordinary user with access to repo1.maven.org, and it is fetched", oldestMajor)

// binaries is a folder with initdb, postgres and pg_ctl side by side.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// findOrFetch returns binaries for the folder's data: installed ones, else, for
// an ordinary user, fetched ones. Root has to install them: what it fetched
// would lie where the user who runs it may not look.
func findOrFetch(ctx context.Context, f *folder, log io.Writer) (binaries, error) {
	bin, err := findBinaries(ctx, placesToLook(ctx), f.major(), f.as)
	if err == nil || f.as != nil {
		return bin, err
	}
	return fetch(ctx, f.major(), log)
}

// placesToLook lists folders that may hold the binaries, the likeliest first.
// The distributions' own come before PATH, where a lone copy of one program
// may stand without its library folder.
func placesToLook(ctx context.Context) []string {
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",             // Debian, Ubuntu
		"/usr/pgsql-*/bin",                      // Red Hat, from postgresql.org
		"/usr/libexec/postgresql*",              // Alpine
		"/opt/homebrew/opt/postgresql@*/bin",    // macOS
		"/usr/local/opt/postgresql@*/bin",       // macOS on Intel
		"/Library/PostgreSQL/*/bin",             // macOS, from EnterpriseDB
		"/Applications/Postgres.app/*/*/*/bin/", // macOS, Postgres.app
	} {
		found, _ := filepath.Glob(pattern)
		slices.Reverse(found)
		dirs = append(dirs, found...)
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return dirs
}

// findBinaries returns the newest complete binaries in dirs that the user may
// run; of the major version want, unless that is 0.
func findBinaries(ctx context.Context, dirs []string, want int, as *syscall.Credential) (binaries, error) {
	var best binaries
	others := []int{}
	for _, dir := range dirs {
		major := majorOf(ctx, dir)
		switch {
		case major < oldestMajor || wallFor(as, filepath.Join(dir, "postgres")) != "":
		case want != 0 && major != want:
			others = append(others, major)
		case major > best.major:
			best = binaries{dir: dir, major: major}
		}
	}
	switch {
	case best.major > 0:
		return best, nil
	case len(others) > 0:
		return best, fmt.Errorf("the data was made by PostgreSQL %d, and only %v is installed: install PostgreSQL %d, or remove the folder to begin anew", want, others, want)
	}
	return best, errNoPostgreSQL
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// majorOf returns the major version of the binaries in dir, 0 if they are not
// all there.
func majorOf(ctx context.Context, dir string) int {
	for _, program := range []string{"initdb", "pg_ctl", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return 0
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(match[1]))
	return major
}

// fetched are the versions that the library knows, by major version.
var fetched = map[int]embedded.PostgresVersion{
	0: embedded.V17, 15: embedded.V15, 16: embedded.V16, 17: embedded.V17, 18: embedded.V18,
}

// fetch gets binaries from Maven Central into the user's cache, once. The
// library can only fetch by starting a server; that one is thrown away.
func fetch(ctx context.Context, want int, log io.Writer) (binaries, error) {
	version, ok := fetched[want]
	if !ok {
		return binaries{}, fmt.Errorf("the data was made by PostgreSQL %d: %w", want, errNoPostgreSQL)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return binaries{}, fmt.Errorf("%w (no cache folder: %w)", errNoPostgreSQL, err)
	}
	cache = filepath.Join(cache, "overread", "postgresql")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return binaries{}, err
	}
	lock, err := waitForLock(ctx, filepath.Join(cache, "lock"))
	if err != nil {
		return binaries{}, err
	}
	defer lock.Close()

	home := filepath.Join(cache, string(version))
	if bin, err := findBinaries(ctx, []string{filepath.Join(home, "bin")}, want, nil); err == nil {
		return bin, nil
	}
	_, _ = fmt.Fprintf(log, "no PostgreSQL is installed: fetching %s into %s\n", version, home)
	if err := unpack(cache, home, version); err != nil {
		return binaries{}, fmt.Errorf("%w\nfetching it failed: %w", errNoPostgreSQL, err)
	}
	return findBinaries(ctx, []string{filepath.Join(home, "bin")}, want, nil)
}

func unpack(cache, home string, version embedded.PostgresVersion) error {
	scratch, err := os.MkdirTemp("", "overread-fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	port, err := (&folder{dir: scratch}).choosePort()
	if err != nil {
		return err
	}
	server := embedded.NewDatabase(embedded.DefaultConfig().
		Version(version).
		Port(uint32(port)). //nolint:gosec // below 32000
		CachePath(cache).
		BinariesPath(home).
		RuntimePath(filepath.Join(scratch, "run")).
		DataPath(filepath.Join(scratch, "data")).
		Locale("C").Encoding("UTF8").
		Logger(io.Discard))
	if err := server.Start(); err != nil {
		return err
	}
	return server.Stop()
}
