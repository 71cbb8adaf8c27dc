package radsec

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the instruments of one server. Every series is there from the start. At rest, the
// sum of all outcomes is the number of connections that came, and accepted = open + closed.
type metrics struct {
	came   [outcomes]prometheus.Counter
	closed [endings]prometheus.Counter
	pauses prometheus.Counter
	panics prometheus.Counter
}

func newMetrics(a *admission, reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		pauses: f.NewCounter(prometheus.CounterOpts{
			Name: "otpgate_radsec_pauses_total",
			Help: "How often a RadSec connection was not read for a while, because too much of it was being worked on.",
		}),
		panics: f.NewCounter(prometheus.CounterOpts{
			Name:        "otpgate_panics_total",
			Help:        "Panics that were recovered.",
			ConstLabels: prometheus.Labels{"component": "radsec"},
		}),
	}
	came := f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radsec_connections_total",
		Help: "RadSec connections that came, by what became of them.",
	}, []string{"outcome"})
	for o := range outcomes {
		m.came[o] = came.WithLabelValues(o.String())
	}
	closed := f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radsec_closed_total",
		Help: "RadSec connections that had been accepted and ended, by reason.",
	}, []string{"reason"})
	for e := range endings {
		m.closed[e] = closed.WithLabelValues(e.String())
	}
	for state, of := range map[string]func() int{
		"handshake": func() int { unknown, _ := a.count(); return unknown },
		"open":      func() int { _, open := a.count(); return open },
	} {
		f.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "otpgate_radsec_connections",
			Help:        "RadSec connections now.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(of()) })
	}
	return m
}
