package radius

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"otpgate/otp"
	"otpgate/radius/session"
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
	unsentFailed                   // the kernel or the connection did not take it
	unsentUnsealed                 // its attributes do not fit into a packet
	unsentReasons                  // how many there are
)

func (u unsent) String() string {
	return [unsentReasons]string{"superseded", "too_many_refusals", "write_failed", "unsealed"}[u]
}

// metrics are the instruments of one server. Every series is there from the start, so that a rate
// over it works from the first scrape. At rest, received = discarded + duplicates + attempts +
// Status-Server + accounting + unrecorded.
type metrics struct {
	receivedUDP   prometheus.Counter
	receivedTLS   prometheus.Counter
	discarded     [discardReasons]prometheus.Counter
	kernelDropped prometheus.Counter
	resent        prometheus.Counter
	inFlight      prometheus.Counter
	statusServer  prometheus.Counter
	unsent        [unsentReasons]prometheus.Counter
	panics        prometheus.Counter
	unrecorded    prometheus.Counter
	duration      [otp.Accept + 1]prometheus.Observer

	attempts *prometheus.CounterVec
	relaxed  *prometheus.CounterVec
	reports  *prometheus.CounterVec
	secrets  *prometheus.CounterVec
	signing  *prometheus.CounterVec
	stages   *prometheus.HistogramVec
}

// clientMetrics are the series of one client.
type clientMetrics struct {
	attempts          map[ending]prometheus.Counter
	stages            [stages]prometheus.Observer
	current, previous prometheus.Counter // packets that were made with this secret
	signed, unsigned  prometheus.Counter // Access-Requests with and without Message-Authenticator
}

// ending is what an attempt came to, as it is counted.
type ending struct {
	decision otp.Decision
	reason   otp.Reason
}

// endings are all that there are, so that each has a series from the start.
func endings() []ending {
	all := []ending{
		{otp.Accept, otp.ReasonOK}, {otp.Accept, otp.ReasonCodeExempt},
		{otp.Challenge, otp.ReasonCodeAsked}, {otp.Challenge, otp.ReasonCodeWrong}, {otp.Challenge, otp.ReasonCodeUsed},
	}
	for _, r := range otp.Reasons() {
		if r != otp.ReasonOK && r != otp.ReasonCodeExempt && r != otp.ReasonCodeAsked {
			all = append(all, ending{decisionFor(r), r})
		}
	}
	return all
}

// statuses are those of accounting that are counted by their names; all others are "other".
var statuses = [...]session.Status{session.Start, session.Stop, session.InterimUpdate, session.AccountingOn, session.AccountingOff}

func latencyBuckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}
}

func newMetrics(s *Server, reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	received := f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radius_packets_received_total",
		Help: "Packets received.",
	}, []string{"transport"})
	m := &metrics{
		receivedUDP: received.WithLabelValues("udp"),
		receivedTLS: received.WithLabelValues("tls"),
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
	m.addClientSeries(f)
	m.addGauges(s, f)
	if reg != nil {
		reg.MustRegister(newProofs(s))
	}
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
	m.kernelDropped = f.NewCounter(prometheus.CounterOpts{
		Name: "otpgate_radius_packets_dropped_by_kernel_total",
		Help: "Datagrams that the kernel threw away because they were not read in time; they are not among those received.",
	})
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
		m.duration[d] = duration.WithLabelValues(d.String())
	}
}

func (m *metrics) addClientSeries(f promauto.Factory) {
	m.relaxed = f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radius_relaxed_total",
		Help: "Logins that passed because a relaxation is configured.",
	}, []string{"client", "relaxation"})
	m.secrets = f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radius_secret_matched_total",
		Help: "Packets that were made with the current or the previous secret of their client.",
	}, []string{"client", "secret"})
	m.signing = f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radius_message_authenticator_total",
		Help: "Access-Requests over UDP without EAP, by whether they carried a right Message-Authenticator or none.",
	}, []string{"client", "state"})
	m.reports = f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_radius_accounting_total",
		Help: "Accounting-Requests that were recorded and acknowledged.",
	}, []string{"client", "status"})
	m.unrecorded = f.NewCounter(prometheus.CounterOpts{
		Name: "otpgate_radius_accounting_unrecorded_total",
		Help: "Accounting-Requests that could not be recorded and got no answer.",
	})
}

func (m *metrics) addGauges(s *Server, f promauto.Factory) {
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "otpgate_radius_in_flight_requests",
		Help: "Attempts being worked on.",
	}, func() float64 { return float64(s.slots.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "otpgate_radius_waiting_refusals",
		Help: "Access-Rejects held back until they are due.",
	}, func() float64 { return float64(s.refusals.Len()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "otpgate_radius_remembered_requests",
		Help: "Requests remembered for their retransmissions.",
	}, func() float64 { return float64(s.duplicates.Len()) })
}

// proofs tells of each client whether it has proven that it always sends Message-Authenticator, on all
// nodes together.
type proofs struct {
	s    *Server
	desc *prometheus.Desc
}

func newProofs(s *Server) proofs {
	return proofs{s, prometheus.NewDesc("otpgate_radius_message_authenticator_proven",
		"1 when the client has always sent Message-Authenticator for so long that it is safe to require.", []string{"client"}, nil)}
}

// Describe implements [prometheus.Collector].
func (p proofs) Describe(ch chan<- *prometheus.Desc) { ch <- p.desc }

// Collect implements [prometheus.Collector].
func (p proofs) Collect(ch chan<- prometheus.Metric) {
	for _, c := range p.s.posture.Summary() {
		value := 0.0
		if c.Safe || c.Proven {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(p.desc, prometheus.GaugeValue, value, c.Client)
	}
}

// forClient returns the series of a client, created if need be.
func (m *metrics) forClient(name string) *clientMetrics {
	c := &clientMetrics{
		attempts: make(map[ending]prometheus.Counter),
		current:  m.secrets.WithLabelValues(name, "current"),
		previous: m.secrets.WithLabelValues(name, "previous"),
		signed:   m.signing.WithLabelValues(name, "present"),
		unsigned: m.signing.WithLabelValues(name, "absent"),
	}
	for _, o := range endings() {
		c.attempts[o] = m.attempts.WithLabelValues(name, o.decision.String(), string(o.reason))
	}
	for s := range stages {
		c.stages[s] = m.stages.WithLabelValues(name, s.String())
	}
	for _, why := range relaxations {
		m.relaxed.WithLabelValues(name, why)
	}
	for _, status := range statuses {
		m.reports.WithLabelValues(name, status.String())
	}
	return c
}

// dropClient removes the series of a client that is gone.
func (m *metrics) dropClient(name string) {
	gone := prometheus.Labels{"client": name}
	for _, v := range []*prometheus.CounterVec{m.attempts, m.relaxed, m.secrets, m.signing, m.reports} {
		v.DeletePartialMatch(gone)
	}
	m.stages.DeletePartialMatch(gone)
}

// observe counts a decided attempt.
func (m *metrics) observe(a *attempt) {
	if c := a.client.metrics.attempts[ending{a.decision, a.reason}]; c != nil {
		c.Inc()
	} else { // a reason that otp.Reasons does not list
		m.attempts.WithLabelValues(a.client.Name, a.decision.String(), string(a.reason)).Inc()
	}
	if a.relaxed != "" {
		m.relaxed.WithLabelValues(a.client.Name, a.relaxed).Inc()
	}
	for s, d := range [stages]time.Duration{a.inDirectory, a.inStore, a.total} {
		a.client.metrics.stages[s].Observe(d.Seconds())
	}
	m.duration[a.decision].Observe(a.total.Seconds())
}

// accounting counts a report that was recorded. Statuses are as many as there are numbers, so that
// those without a name share one series.
func (m *metrics) accounting(c *client, status session.Status) {
	word := "other"
	if slices.Contains(statuses[:], status) {
		word = status.String()
	}
	m.reports.WithLabelValues(c.Name, word).Inc()
}
