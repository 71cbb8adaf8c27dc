package radius

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"otpgate/otp"
)

// stage is a part of an attempt whose time is measured by itself.
type stage uint8

const (
	stageDirectory stage = iota
	stageStore
	stageTotal
	stages // how many there are
)

func (s stage) String() string { return [stages]string{"directory", "store", "total"}[s] }

// unsent says why a reply that was decided on did not leave.
type unsent uint8

const (
	unsentSuperseded unsent = iota // the gateway asked something else under the same Identifier
	unsentTooMany                  // too many refusals were waiting
	unsentFailed                   // the kernel did not take it
	unsentReasons                  // how many there are
)

func (u unsent) String() string {
	return [unsentReasons]string{"superseded", "too_many_refusals", "write_failed"}[u]
}

// metrics are the instruments of one server. Every series is there from the start, so that a rate
// over it works from the first scrape. At rest, received = discarded + duplicates + attempts +
// Status-Server.
type metrics struct {
	received     prometheus.Counter
	discarded    [discardReasons]prometheus.Counter
	resent       prometheus.Counter
	inFlight     prometheus.Counter
	statusServer prometheus.Counter
	unsent       [unsentReasons]prometheus.Counter
	panics       prometheus.Counter
	duration     [otp.Accept + 1]prometheus.Observer

	attempts *prometheus.CounterVec
	stages   *prometheus.HistogramVec
}

// clientMetrics are the series of one client.
type clientMetrics struct {
	attempts map[otp.Reason]prometheus.Counter
	stages   [stages]prometheus.Observer
}

func latencyBuckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}
}

func newMetrics(s *Server, reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		received: f.NewCounterVec(prometheus.CounterOpts{
			Name: "otpgate_radius_packets_received_total",
			Help: "Datagrams received.",
		}, []string{"transport"}).WithLabelValues("udp"),
		statusServer: f.NewCounter(prometheus.CounterOpts{
			Name: "otpgate_radius_status_server_total",
			Help: "Status-Server packets answered.",
		}),
		panics: f.NewCounter(prometheus.CounterOpts{
			Name:        "otpgate_panics_total",
			Help:        "Panics that were recovered.",
			ConstLabels: prometheus.Labels{"component": "radius"},
		}),
		attempts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "otpgate_radius_attempts_total",
			Help: "Login attempts decided.",
		}, []string{"client", "decision", "reason"}),
		stages: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:                           "otpgate_radius_stage_duration_seconds",
			Help:                           "Time that attempts spent in directory and store, and in all.",
			Buckets:                        latencyBuckets(),
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100,
		}, []string{"client", "stage"}),
	}
	m.addPacketSeries(f)
	m.addGauges(s, f)
	return m
}

func (m *metrics) addPacketSeries(f promauto.Factory) {
	discarded := f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radius_packets_discarded_total",
		Help: "Datagrams thrown away without a reply.",
	}, []string{"reason"})
	for d := range discardReasons {
		m.discarded[d] = discarded.WithLabelValues(d.String())
	}
	duplicates := f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radius_duplicates_total",
		Help: "Retransmissions that were not processed again.",
	}, []string{"action"})
	m.resent, m.inFlight = duplicates.WithLabelValues("resent"), duplicates.WithLabelValues("in_flight")
	notSent := f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radius_replies_unsent_total",
		Help: "Replies that were decided on and did not leave.",
	}, []string{"reason"})
	for u := range unsentReasons {
		m.unsent[u] = notSent.WithLabelValues(u.String())
	}
	duration := f.NewHistogramVec(prometheus.HistogramOpts{
		Name:                           "otpgate_radius_request_duration_seconds",
		Help:                           "Time from the arrival of an Access-Request to its decision.",
		Buckets:                        latencyBuckets(),
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: 100,
	}, []string{"decision"})
	for d := range otp.Accept + 1 {
		if d != otp.Challenge { // no login asks for a second packet yet
			m.duration[d] = duration.WithLabelValues(d.String())
		}
	}
}

func (m *metrics) addGauges(s *Server, f promauto.Factory) {
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "otpgate_radius_in_flight_requests",
		Help: "Attempts being worked on.",
	}, func() float64 { return float64(s.slots.taken.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "otpgate_radius_waiting_refusals",
		Help: "Access-Rejects held back until they are due.",
	}, func() float64 { return float64(s.refusals.Len()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "otpgate_radius_remembered_requests",
		Help: "Requests remembered for their retransmissions.",
	}, func() float64 { return float64(s.duplicates.Len()) })
}

// forClient returns the series of a client, created if need be.
func (m *metrics) forClient(name string) *clientMetrics {
	c := &clientMetrics{attempts: make(map[otp.Reason]prometheus.Counter)}
	for _, r := range otp.Reasons() {
		d := decisionFor(r)
		if r == otp.ReasonOK {
			d = otp.Accept
		}
		c.attempts[r] = m.attempts.WithLabelValues(name, d.String(), string(r))
	}
	for s := range stages {
		c.stages[s] = m.stages.WithLabelValues(name, s.String())
	}
	return c
}

// dropClient removes the series of a client that is gone.
func (m *metrics) dropClient(name string) {
	m.attempts.DeletePartialMatch(prometheus.Labels{"client": name})
	m.stages.DeletePartialMatch(prometheus.Labels{"client": name})
}

// observe counts a decided attempt.
func (m *metrics) observe(a *attempt) {
	if c := a.client.metrics.attempts[a.reason]; c != nil {
		c.Inc()
	} else { // a reason that otp.Reasons does not list
		m.attempts.WithLabelValues(a.client.Name, a.decision.String(), string(a.reason)).Inc()
	}
	for s, d := range [stages]time.Duration{a.inDirectory, a.inStore, a.total} {
		a.client.metrics.stages[s].Observe(d.Seconds())
	}
	m.duration[a.decision].Observe(a.total.Seconds())
}
