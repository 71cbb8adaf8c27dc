package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// SilenceLibrary stops go-redis from writing a line of its own to standard error for every failed
// dial. What it would write comes back as the error of the call as well. The library has one logger
// for the whole process: only main, and TestMain, may call this.
func SilenceLibrary() { redis.SetLogger(silence{}) }

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
