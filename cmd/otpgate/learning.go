package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"otpgate/radius"
)

const (
	learnEvery   = 10 * time.Second
	learnTimeout = 5 * time.Second
)

// nodeName is the file in data_dir by which a node tells itself from the others on a shared store. It
// holds no secret.
const nodeName = "node"

// nodeID is the name of this node, which is the same after a restart and no other's.
func nodeID(dir string) (string, error) {
	path := filepath.Join(dir, nodeName)
	text, err := os.ReadFile(path)
	switch id := strings.TrimSpace(string(text)); {
	case err == nil && id != "" && len(id) <= 64:
		return id, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	id := strings.ToLower(rand.Text())
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", err
	}
	return id, nil
}

// learn has the store know what this node sees of its gateways, and this node what the others see.
func (n *node) learn() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	n.life.onStop("learning of gateways", func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	go func() {
		defer close(ended)
		tick := time.NewTicker(learnEvery)
		defer tick.Stop()
		for {
			n.learnOnce(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// learnLast is one last look, when no gateway is answered any more. A store that is away keeps no node from
// stopping as it should: that is where a restart may be what helps.
func (n *node) learnLast(ctx context.Context) error {
	if !n.bound.Load() { // nobody was answered, and the store may be another's
		return nil
	}
	if err := n.posture.Flush(ctx); err != nil {
		n.log.Info("what was seen of gateways since it was last stored is lost, if anything was", "error", err,
			"hint", "such packets, with and without Message-Authenticator, do not count for message_authenticator: learn")
	}
	return nil
}

func (n *node) learnOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	if err := n.posture.Flush(ctx); err != nil && ctx.Err() == nil {
		n.log.Debug("what was seen of gateways is not in the store yet", "error", err)
	}
}

// learnThese tells which gateways are to be learned: not those that the configuration lets go on
// without Message-Authenticator whatever they send.
func (n *node) learnThese(clients []radius.Client) {
	names := make([]string, len(clients))
	for i, c := range clients {
		names[i] = c.Name
		switch c.MessageAuthenticator {
		case radius.Optional, radius.Omit:
			n.posture.Forget(c.Name)
		default:
			n.posture.Learn(c.Name)
		}
	}
	n.posture.Retain(names)
}

// relearn is learnThese after a reload: clients that are new are known at once.
func (n *node) relearn(clients []radius.Client) {
	n.learnThese(clients)
	go n.learnOnce(context.Background())
}
