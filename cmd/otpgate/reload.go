package main

import (
	"otpgate/configs"
	"otpgate/radius"
)

// reload reads the configuration again and takes over what can be. A bad file changes nothing.
func (n *node) reload(rt *runtime) {
	next, err := rt.load()
	if err == nil {
		err = n.takeOver(next)
	}
	n.metrics.Reloaded(err == nil)
	if err != nil {
		n.log.Error("the configuration was not taken over; the running one stays in force", "error", err)
		n.recordSystem(rt.now(), "reload_failed", "the running configuration stays in force")
		return
	}
	n.warn(next)
	n.log.Info("configuration reloaded", "clients", len(next.Radius.Clients))
	n.recordSystem(rt.now(), "reloaded", "")
}

// takeOver does everything that can fail first, and then puts the new parts in place.
func (n *node) takeOver(next *configs.Config) error {
	g, err := newGateways(next)
	if err != nil {
		return err
	}
	if err := radius.CheckClients(g.clients); err != nil { // all or nothing
		return err
	}
	directories, err := n.accounts.build(next, g) // it warns of what is forgotten: nothing fails after it
	if err != nil {
		return err
	}
	// Directories first: what new clients want to know of accounts has to be asked for. The clients of before, whose
	// directory may be gone now, get no answer until they are gone too, and send again.
	n.accounts.take(directories)
	if err := n.radius.Load().SetClients(g.clients); err != nil {
		return err
	}
	n.gateways.Store(g)
	n.relearn(g.clients)
	setLevel(n.level, next.Log.Level)
	for _, name := range configs.RestartNeeded(n.cfg, next) {
		n.log.Warn("this change waits for a restart", "key", name)
	}
	return nil
}

// warn logs what works in a configuration and gives something up.
func (n *node) warn(cfg *configs.Config) {
	for _, w := range cfg.Warnings() {
		n.log.Warn("the configuration gives something up", "where", cfg.Where(w.Key),
			"key", w.Key, "what", w.Message, "hint", w.Hint)
	}
}
