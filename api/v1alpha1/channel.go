package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SlowConsumer is what happens to the messages of a channel for a client that does not keep up.
//
// +kubebuilder:validation:Enum=Disconnect;DropOldest;LatestOnly
type SlowConsumer string

// The values of SlowConsumer.
const (
	SlowConsumerDisconnect SlowConsumer = "Disconnect"
	SlowConsumerDropOldest SlowConsumer = "DropOldest"
	SlowConsumerLatestOnly SlowConsumer = "LatestOnly"
)

// ChannelPublish is who of the clients may publish to a channel; backends always may.
//
// +kubebuilder:validation:Enum=Nobody;Subscribers;Anybody
type ChannelPublish string

// The values of ChannelPublish.
const (
	PublishNobody      ChannelPublish = "Nobody"
	PublishSubscribers ChannelPublish = "Subscribers"
	PublishAnybody     ChannelPublish = "Anybody"
)

// ChannelSubscribe is who may subscribe to a channel.
//
// +kubebuilder:validation:Enum=Anybody;Authenticated;Token
type ChannelSubscribe string

// The values of ChannelSubscribe.
const (
	SubscribeAnybody       ChannelSubscribe = "Anybody"
	SubscribeAuthenticated ChannelSubscribe = "Authenticated"
	SubscribeToken         ChannelSubscribe = "Token"
)

// ChannelRule is what holds for the channels whose names match a pattern.
//
// +kubebuilder:validation:XValidation:rule="!has(self.recovery) || !self.recovery || has(self.history)",message="there is nothing to recover from: set history of this rule, or remove recovery",fieldPath=".recovery"
// +kubebuilder:validation:XValidation:rule="!has(self.joinLeave) || !self.joinLeave || (has(self.presence) && self.presence)",message="nobody knows who is there: set presence of this rule to true, or remove joinLeave",fieldPath=".joinLeave"
// +kubebuilder:validation:XValidation:rule="!has(self.recovery) || !self.recovery || !has(self.slowConsumer) || self.slowConsumer == 'Disconnect'",message="a client that lost messages would believe that it recovered all: set slowConsumer of this rule to Disconnect, or remove recovery",fieldPath=".slowConsumer"
type ChannelRule struct {
	// pattern is a channel's name in which each * stands for any run of characters, such as prices:*.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Pattern string `json:"pattern"`

	// history is what is kept of the channel's publications; without it nothing is.
	// +optional
	History *ChannelHistory `json:"history,omitempty"`

	// recovery lets subscribers that come back get what they missed. It needs history, and slowConsumer
	// Disconnect.
	// +optional
	Recovery bool `json:"recovery,omitempty"`

	// presence keeps who is subscribed, and lets subscribers ask.
	// +optional
	Presence bool `json:"presence,omitempty"`

	// joinLeave tells subscribers who comes and goes. It needs presence.
	// +optional
	JoinLeave bool `json:"joinLeave,omitempty"`

	// publish is who of the clients may publish: Nobody, who is subscribed, or Anybody. Backends always
	// may.
	// +optional
	// +kubebuilder:default=Subscribers
	Publish ChannelPublish `json:"publish,omitempty"`

	// subscribe is who may: Anybody, Authenticated clients (who have a user), or who has a Token for the
	// channel, be it a subscription token or a connection token that names it.
	// +optional
	// +kubebuilder:default=Anybody
	Subscribe ChannelSubscribe `json:"subscribe,omitempty"`

	// slowConsumer is what happens when a client does not keep up: Disconnect closes its connection
	// when its queue is full, DropOldest drops the oldest of the messages that wait for it, LatestOnly
	// keeps but the latest message of the channel while the client's socket is full.
	// +optional
	// +kubebuilder:default=Disconnect
	SlowConsumer SlowConsumer `json:"slowConsumer,omitempty"`
}

// ChannelHistory is how many of a channel's publications are kept, and for how long.
type ChannelHistory struct {
	// size is how many publications are kept, the latest.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Size int32 `json:"size"`

	// ttl is for how long they are kept after the latest.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="must be a duration from 1s to 720h, such as 10m or 24h"
	TTL metav1.Duration `json:"ttl"`
}

// PresenceSpec is how long members of channels outlive what held them.
//
// +kubebuilder:validation:XValidation:rule="!has(self.grace) || !has(self.ttl) || !self.grace.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || !self.ttl.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || duration(self.grace) < duration(self.ttl)",message="must be shorter than spec.gateway.presence.ttl: lower spec.gateway.presence.grace or raise spec.gateway.presence.ttl",fieldPath=".grace"
type PresenceSpec struct {
	// ttl after which the members of a gateway that was killed are gone.
	// +optional
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('5s') && duration(self) <= duration('1h')",message="must be a duration from 5s to 1h, such as 30s or 5m"
	TTL *metav1.Duration `json:"ttl,omitempty"`

	// grace in which a user whose connection is gone stays a member, in case it comes back; 0s is none.
	// +optional
	// +kubebuilder:default="15s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('5m')",message="must be a duration from 0s to 5m, such as 15s or 1m"
	Grace *metav1.Duration `json:"grace,omitempty"`
}
