package main

import "time"

// sessionFlags say how long people stay logged in.
type sessionFlags struct {
	Idle time.Duration `name:"session-idle" env:"OVERREAD_SESSION_IDLE" default:"15m" help:"Without a request for so long somebody is logged off."`
	Life time.Duration `name:"session-life" env:"OVERREAD_SESSION_LIFE" default:"12h" help:"After so long somebody logs in again in any case."`
}
