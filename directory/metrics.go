package directory

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Values of the label operation.
const (
	opFind   = "find"   // account by name, and its groups
	opMail   = "mail"   // account by mail address, and its groups
	opID     = "id"     // account by its id, and its groups
	opIDs    = "ids"    // ids of up to 100 accounts by their names
	opBind   = "bind"   // password check
	opHealth = "health" // is it there?
	opDial   = "dial"   // one connection, until it can be used
)

// Values of the label state.
const (
	stateSearch       = "search"        // shared by all look-ups
	statePasswordBusy = "password_busy" // checking a password
	statePasswordIdle = "password_idle" // kept for the next one
)

type metrics struct {
	durations   *prometheus.HistogramVec
	connections *prometheus.GaugeVec
	parted      prometheus.Counter
	now         func() time.Time
}

func newMetrics(reg prometheus.Registerer, now func() time.Time) *metrics {
	m := &metrics{
		durations: promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "otpgate_directory_operation_duration_seconds",
			Help:                            "How long the directories took, by operation and result.",
			Buckets:                         []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"operation", "result"}),
		connections: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
			Name: "otpgate_directory_connections",
			Help: "Connections to LDAP servers, by what they are used for.",
		}, []string{"state"}),
		parted: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "otpgate_directory_parted_total",
			Help: "Searches for several names that failed in a way that had names looked up one at a time for a minute.",
		}),
		now: now,
	}
	for _, state := range []string{stateSearch, statePasswordBusy, statePasswordIdle} {
		m.connections.WithLabelValues(state)
	}
	for operation, results := range map[string][]string{
		opFind:   {"ok", "not_found", "ambiguous", "unavailable"},
		opMail:   {"ok", "not_found", "ambiguous", "unavailable"},
		opID:     {"ok", "not_found", "ambiguous", "unavailable"},
		opIDs:    {"ok", "unavailable"},
		opBind:   {"ok", "refused", "unavailable"},
		opHealth: {"ok", "unavailable"},
		opDial:   {"ok", "unavailable"},
	} {
		for _, result := range results {
			m.durations.WithLabelValues(operation, result)
		}
	}
	return m
}

// remember tells how many accounts a set remembers.
func (m *metrics) remember(reg prometheus.Registerer, s *Set) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "otpgate_directory_known_accounts",
		Help: "Accounts that the node remembers, so that a login needs no search.",
	}, func() float64 {
		accounts, _ := s.Known()
		return float64(accounts)
	})
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "otpgate_directory_accounts_pushed_out_total",
		Help: "Accounts that were forgotten because more logged in than known_accounts allows.",
	}, func() float64 {
		_, pushedOut := s.Known()
		return float64(pushedOut)
	})
}

// observe is called with the time at which the operation began, and what became of it.
func (m *metrics) observe(operation string, begin time.Time, err error) {
	m.durations.WithLabelValues(operation, resultOf(err)).Observe(m.now().Sub(begin).Seconds())
}

// connected counts a connection in, or out with -1.
func (m *metrics) connected(state string, delta float64) {
	m.connections.WithLabelValues(state).Add(delta)
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotFound):
		return "not_found"
	case errors.Is(err, ErrAmbiguous):
		return "ambiguous"
	case errors.Is(err, ErrPasswordWrong):
		return "refused"
	}
	return "unavailable"
}
