package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/overread/overread/internal/pg"
)

// badSetting is the error of a setting that is wrong, by both of its names:
// "--listen / OVERREAD_LISTEN: ...".
func badSetting(flag, format string, args ...any) error {
	env := "OVERREAD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
	return fmt.Errorf("--%s / %s: %w", flag, env, fmt.Errorf(format, args...))
}

// databaseFlags say where the database is. The URL may hold a password, so it
// may also come from a file, and it is never printed as it is.
type databaseFlags struct {
	URL     string `name:"database-url" env:"OVERREAD_DATABASE_URL" placeholder:"URL" help:"PostgreSQL 15 or later, e.g. postgres://overread@db.example/overread. The URL also takes pool_max_conns and sslmode."`
	URLFile string `name:"database-url-file" env:"OVERREAD_DATABASE_URL_FILE" type:"path" placeholder:"FILE" help:"A file that holds the database URL, to keep its password off the command line."`
	Pooler  bool   `name:"database-pooler" env:"OVERREAD_DATABASE_POOLER" help:"A pooler in transaction mode (PgBouncer) stands before the database. Migrate past it: overread migrate with the database's own URL."`
}

// url returns the database URL from where it was given, as it is to be used.
func (f databaseFlags) url() (string, error) {
	target, err := f.given()
	if err == nil && f.Pooler {
		target = pg.BehindPooler(target)
	}
	return target, err
}

// given is the database URL as it was given.
func (f databaseFlags) given() (string, error) {
	switch {
	case f.URL != "" && f.URLFile != "":
		return "", badSetting("database-url", "is given together with --database-url-file / OVERREAD_DATABASE_URL_FILE; give one of the two")
	case f.URL != "":
		return f.URL, nil
	case f.URLFile != "":
		text, err := os.ReadFile(f.URLFile)
		if err != nil {
			return "", badSetting("database-url-file", "%w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	return "", badSetting("database-url", "is missing; it names the PostgreSQL database, e.g. postgres://overread@localhost/overread")
}

// setting is the name of the flag that gave the URL.
func (f databaseFlags) setting() string {
	if f.URLFile != "" {
		return "database-url-file"
	}
	return "database-url"
}

// open connects to the database. The caller closes it.
func (f databaseFlags) open(ctx context.Context) (*pg.DB, error) {
	target, err := f.url()
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, target)
	if err != nil {
		return nil, badSetting(f.setting(), "%w", err)
	}
	return db, nil
}

// noSecrets refuses a password on the command line, where everybody on the
// machine can read it (ps). The program itself is started so by tests only.
func noSecrets(args []string) error {
	for i, arg := range args {
		value, ok := strings.CutPrefix(arg, "--database-url=")
		if arg == "--database-url" && i+1 < len(args) {
			value, ok = args[i+1], true
		}
		if ok && hasPassword(value) {
			return badSetting("database-url", "has a password in it, which everybody on this machine can read: give the URL by the environment, by --database-url-file / OVERREAD_DATABASE_URL_FILE, or keep the password in a passfile (~/.pgpass)")
		}
	}
	return nil
}

func hasPassword(target string) bool {
	if u, err := url.Parse(target); err == nil && u.User != nil {
		if _, ok := u.User.Password(); ok {
			return true
		}
	}
	return passwordWord.MatchString(target)
}

var passwordWord = regexp.MustCompile(`(?i)(password\s*=\s*)('[^']*'|[^\s&]+)`)

// redacted is a database URL, or a keyword=value string, fit to be printed.
func redacted(target string) string {
	if u, err := url.Parse(target); err == nil && u.Scheme != "" {
		target = u.Redacted()
	}
	return passwordWord.ReplaceAllString(target, "${1}xxxxx")
}

// logFlags say how the log on stderr looks. It never holds patient data.
type logFlags struct {
	Format string `name:"log-format" env:"OVERREAD_LOG_FORMAT" enum:"text,json" default:"text" help:"text or json."`
	Level  string `name:"log-level" env:"OVERREAD_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
}

func (f logFlags) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.Level)) // kong has checked it
	options := &slog.HandlerOptions{Level: level}
	if f.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
