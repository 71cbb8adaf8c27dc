package otp

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	verifications map[Reason]prometheus.Counter
	offset        prometheus.Histogram
	lockouts      prometheus.Counter
	pushedOut     prometheus.Counter
}

func newMetrics(v *Verifier, reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	results := f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_otp_verifications_total",
		Help: "Codes checked, by result.",
	}, []string{"result"})
	m := &metrics{
		verifications: map[Reason]prometheus.Counter{},
		offset: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "otpgate_otp_matched_step_offset",
			Help:    "Steps by which the code of an accepted login was ahead of the node's clock.",
			Buckets: []float64{-4, -3, -2, -1, 0, 1, 2, 3, 4},
		}),
		lockouts: f.NewCounter(prometheus.CounterOpts{
			Name: "otpgate_otp_lockouts_total",
			Help: "Wrong codes after which a place has to wait before it may try again.",
		}),
		pushedOut: f.NewCounter(prometheus.CounterOpts{
			Name: "otpgate_otp_accounts_pushed_out_total",
			Help: "Accounts whose devices were forgotten to make room for others.",
		}),
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "otpgate_otp_known_accounts",
		Help: "Accounts whose devices are remembered.",
	}, func() float64 { return float64(v.memory.size()) })
	for _, r := range []Reason{
		ReasonOK, ReasonCodeWrong, ReasonCodeUsed, ReasonThrottled, ReasonNoDevice, ReasonPasswordWrong, ReasonChallengeSpent, ReasonStoreUnavailable,
	} {
		m.verifications[r] = results.WithLabelValues(string(r))
	}
	return m
}

func (m *metrics) observe(r *Result) {
	if r.Stale {
		return // it is walked again
	}
	if c := m.verifications[r.Reason]; c != nil {
		c.Inc()
	}
	if r.OK {
		m.offset.Observe(float64(r.Match.Offset))
	}
}

func (m *metrics) counted(r Receipt) {
	if !r.Until.IsZero() {
		m.lockouts.Inc()
	}
}

// outcomes are the two results of an operation of the store.
type outcomes struct{ ok, unavailable prometheus.Observer }

func newStoreDurations(reg prometheus.Registerer) map[string]outcomes {
	durations := promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "otpgate_store_operation_duration_seconds",
		Help:    "Time that the store took, by operation and result.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
	}, []string{"operation", "result"})
	all := map[string]outcomes{}
	for _, op := range []string{"claim", "devices", "add_devices", "rename_device", "remove_device", "put_ticket", "check_ticket", "take_ticket", "put_notes", "notes", "ping"} {
		all[op] = outcomes{ok: durations.WithLabelValues(op, "ok"), unavailable: durations.WithLabelValues(op, "unavailable")}
	}
	return all
}
