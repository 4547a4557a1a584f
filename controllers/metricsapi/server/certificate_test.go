package server

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testName = "wsfleet-metrics-api.wsfleet-system.svc"

// mustRenew renews at the current time of the test.
func mustRenew(t *testing.T, data map[string][]byte) (map[string][]byte, time.Time) {
	t.Helper()
	renewed, due, err := renew(data, testName, time.Now())
	require.NoError(t, err)
	_, _, err = verify(renewed, testName, time.Now())
	require.NoError(t, err)
	return renewed, due
}

func TestRenewIssuesAndKeepsACertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, due := mustRenew(t, nil)
		assert.Len(t, first, 4)
		assert.WithinDuration(t, time.Now().Add(60*24*time.Hour), due, 2*time.Hour, "two thirds of 90 days")
		time.Sleep(time.Until(due) - time.Second)
		same, again := mustRenew(t, first)
		assert.Equal(t, first, same)
		assert.Equal(t, due, again)
	})
}

func TestRenewReplacesTheServingCertificateAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, due := mustRenew(t, nil)
		time.Sleep(time.Until(due))
		second, next := mustRenew(t, first)
		assert.NotEqual(t, first[keyCertificate], second[keyCertificate])
		assert.NotEqual(t, first[keyPrivate], second[keyPrivate])
		assert.Equal(t, first[keyAuthorities], second[keyAuthorities], "what the API server trusts stays the same")
		assert.True(t, next.After(due))
	})
}

// For twenty years, no certificate is ever served that the API server does not trust since the renewal before.
func TestRenewTrustsAnAuthorityBeforeItSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data, due := mustRenew(t, nil)
		authorities := map[string]bool{string(data[keyAuthority]): true}
		for until := time.Now().AddDate(20, 0, 0); time.Now().Before(until); {
			time.Sleep(time.Until(due))
			var renewed map[string][]byte
			renewed, due = mustRenew(t, data)
			require.True(t, due.After(time.Now()), "the next renewal is in the future")

			// Replicas and API servers learn of the renewal one after another.
			servedBefore := maps.Clone(renewed)
			servedBefore[keyCertificate], servedBefore[keyPrivate] = data[keyCertificate], data[keyPrivate]
			_, _, err := verify(servedBefore, testName, time.Now())
			require.NoError(t, err, "a replica serves the certificate of before")
			trustedBefore := maps.Clone(renewed)
			trustedBefore[keyAuthorities] = data[keyAuthorities]
			_, _, err = verify(trustedBefore, testName, time.Now())
			require.NoError(t, err, "an API server trusts the authorities of before")

			data = renewed
			authorities[string(data[keyAuthority])] = true
		}
		assert.Len(t, authorities, 3+1, "authorities live for ten years and are renewed after two thirds of them")
	})
}

func TestRenewReplacesWhatCannotBeUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, _ := mustRenew(t, nil)
		other, _ := mustRenew(t, nil)
		elsewhere, _, err := renew(nil, "wsfleet-metrics-api.elsewhere.svc", time.Now())
		require.NoError(t, err)
		for name, change := range map[string]func(map[string][]byte){
			"a missing key":           func(d map[string][]byte) { delete(d, keyPrivate) },
			"no PEM":                  func(d map[string][]byte) { d[keyAuthorities] = []byte("hello") },
			"another key":             func(d map[string][]byte) { d[keyPrivate] = other[keyPrivate] },
			"another authority":       func(d map[string][]byte) { d[keyAuthorities] = other[keyAuthorities] },
			"another authority's key": func(d map[string][]byte) { d[keyAuthority] = other[keyAuthority] },
			"another name":            func(d map[string][]byte) { maps.Copy(d, elsewhere) },
		} {
			broken := maps.Clone(good)
			change(broken)
			renewed, _ := mustRenew(t, broken)
			assert.NotEqual(t, broken, renewed, name)
		}
		time.Sleep(servingLifetime + time.Hour)
		late, _ := mustRenew(t, good)
		assert.NotEqual(t, good[keyCertificate], late[keyCertificate], "all replicas were off for months")
	})
}

func TestVerifyNamesTheKeyOfTheSecret(t *testing.T) {
	good, _, err := renew(nil, testName, time.Now())
	require.NoError(t, err)
	for key, message := range map[string]string{
		keyAuthorities: "key ca.crt",
		keyCertificate: "keys tls.crt and tls.key",
		keyPrivate:     "keys tls.crt and tls.key",
	} {
		broken := maps.Clone(good)
		delete(broken, key)
		_, _, err := verify(broken, testName, time.Now())
		require.ErrorContains(t, err, message)
	}
	_, _, err = verify(good, "another.name.svc", time.Now())
	require.ErrorContains(t, err, "key tls.crt")
	delete(good, keyAuthority)
	_, _, err = verify(good, testName, time.Now())
	require.NoError(t, err, "cert-manager writes no ca.key")
}
