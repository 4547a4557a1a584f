package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SlowConsumer is what a gateway does with the messages of a channel for a client that does not keep up.
//
// +kubebuilder:validation:Enum=Disconnect;DropOldest;LatestOnly
type SlowConsumer string

// The values of SlowConsumer.
const (
	// SlowConsumerDisconnect closes the client's connection when its queue is full.
	SlowConsumerDisconnect SlowConsumer = "Disconnect"
	// SlowConsumerDropOldest drops the oldest messages from the client's queue when it is full.
	SlowConsumerDropOldest SlowConsumer = "DropOldest"
	// SlowConsumerLatestOnly keeps only the channel's latest message while the client's socket is full.
	SlowConsumerLatestOnly SlowConsumer = "LatestOnly"
)

// ChannelPublish is which clients may publish to a channel. Backends may publish to every channel.
//
// +kubebuilder:validation:Enum=Nobody;Subscribers;Anybody
type ChannelPublish string

// The values of ChannelPublish.
const (
	// PublishNobody lets no client publish.
	PublishNobody ChannelPublish = "Nobody"
	// PublishSubscribers lets the subscribers of the channel publish.
	PublishSubscribers ChannelPublish = "Subscribers"
	// PublishAnybody lets every client publish.
	PublishAnybody ChannelPublish = "Anybody"
)

// ChannelSubscribe is which clients may subscribe to a channel.
//
// +kubebuilder:validation:Enum=Anybody;Authenticated;Token
type ChannelSubscribe string

// The values of ChannelSubscribe.
const (
	// SubscribeAnybody lets every client subscribe.
	SubscribeAnybody ChannelSubscribe = "Anybody"
	// SubscribeAuthenticated lets clients with a user subscribe.
	SubscribeAuthenticated ChannelSubscribe = "Authenticated"
	// SubscribeToken lets clients with a token for the channel subscribe.
	SubscribeToken ChannelSubscribe = "Token"
)

// ChannelRecoveryMode is what a client receives that recovers.
//
// +kubebuilder:validation:Enum=Stream;Cache
type ChannelRecoveryMode string

// The values of ChannelRecoveryMode.
const (
	// RecoveryStream sends all publications that the client missed.
	RecoveryStream ChannelRecoveryMode = "Stream"
	// RecoveryCache sends the latest publication, unless the client has it.
	RecoveryCache ChannelRecoveryMode = "Cache"
)

// ChannelRead is which clients may read what is kept of a channel. Backends may read it in every channel.
//
// +kubebuilder:validation:Enum=Subscribers;Anybody
type ChannelRead string

// The values of ChannelRead.
const (
	// ReadSubscribers lets the subscribers of the channel read.
	ReadSubscribers ChannelRead = "Subscribers"
	// ReadAnybody lets every client read.
	ReadAnybody ChannelRead = "Anybody"
)

// ChannelRule configures the channels whose names match a pattern.
//
// +kubebuilder:validation:XValidation:rule="!has(self.recovery) || !self.recovery || has(self.history)",message="requires history: set history in this rule, or remove recovery",fieldPath=".recovery"
// +kubebuilder:validation:XValidation:rule="!has(self.recoveryMode) || self.recoveryMode == 'Stream' || (has(self.recovery) && self.recovery)",message="requires recovery: set recovery to true in this rule, or remove recoveryMode",fieldPath=".recoveryMode"
// +kubebuilder:validation:XValidation:rule="!has(self.joinLeave) || !self.joinLeave || (has(self.presence) && self.presence)",message="requires presence: set presence to true in this rule, or remove joinLeave",fieldPath=".joinLeave"
// +kubebuilder:validation:XValidation:rule="!has(self.forceJoinLeave) || !self.forceJoinLeave || (has(self.joinLeave) && self.joinLeave)",message="requires joinLeave: set joinLeave to true in this rule, or remove forceJoinLeave",fieldPath=".forceJoinLeave"
// +kubebuilder:validation:XValidation:rule="!has(self.readPresence) || self.readPresence == 'Subscribers' || (has(self.presence) && self.presence)",message="requires presence: set presence to true in this rule, or remove readPresence",fieldPath=".readPresence"
// +kubebuilder:validation:XValidation:rule="!has(self.readHistory) || self.readHistory == 'Subscribers' || has(self.history)",message="requires history: set history in this rule, or remove readHistory",fieldPath=".readHistory"
// +kubebuilder:validation:XValidation:rule="!has(self.recovery) || !self.recovery || !has(self.slowConsumer) || self.slowConsumer == 'Disconnect'",message="must be Disconnect with recovery, because a client that skips messages cannot recover them: set slowConsumer to Disconnect in this rule, or remove recovery",fieldPath=".slowConsumer"
type ChannelRule struct {
	// pattern is matched against the names of channels, 1 to 255 characters. Each * stands for any number of characters,
	// also none. Example: prices:*.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Pattern string `json:"pattern"`

	// history configures how many publications of the channel are kept, and for how long. If it is not set, none are
	// kept.
	// +optional
	History *ChannelHistory `json:"history,omitempty"`

	// recovery is whether a client that subscribes again receives the publications that it missed. It requires history,
	// and slowConsumer Disconnect. Defaults to false.
	// +optional
	Recovery bool `json:"recovery,omitempty"`

	// recoveryMode is what such a client receives: with Stream all publications that it missed, and with Cache only the
	// latest publication, unless the client has it. With Cache a client that subscribes for the first time and asks for
	// recovery receives the latest publication too. Cache requires recovery. Defaults to Stream.
	// +optional
	// +kubebuilder:default=Stream
	RecoveryMode ChannelRecoveryMode `json:"recoveryMode,omitempty"`

	// readHistory is which clients may query the history: only the channel's Subscribers, or Anybody. Anybody requires
	// history. Channels whose names begin with $ are opened only by a rule whose pattern begins with $, and with
	// personalChannels those whose names hold # to the users that they name. Defaults to Subscribers.
	// +optional
	// +kubebuilder:default=Subscribers
	ReadHistory ChannelRead `json:"readHistory,omitempty"`

	// presence is whether the fleet keeps the list of the subscribed clients. Defaults to false.
	// +optional
	Presence bool `json:"presence,omitempty"`

	// readPresence is which clients may query that list: only the channel's Subscribers, or Anybody. Anybody requires
	// presence. Channels whose names begin with $ are opened only by a rule whose pattern begins with $, and with
	// personalChannels those whose names hold # to the users that they name. Defaults to Subscribers.
	// +optional
	// +kubebuilder:default=Subscribers
	ReadPresence ChannelRead `json:"readPresence,omitempty"`

	// joinLeave is whether subscribers receive a message when a client subscribes or unsubscribes. It requires presence.
	// Defaults to false.
	// +optional
	JoinLeave bool `json:"joinLeave,omitempty"`

	// forceJoinLeave is whether all subscribers receive these messages, also those that do not ask for them when they
	// subscribe. It requires joinLeave. Defaults to false.
	// +optional
	ForceJoinLeave bool `json:"forceJoinLeave,omitempty"`

	// tagsFilter is whether subscribers may ask for the publications with certain tags alone. It saves traffic, and keeps
	// nothing secret: a client may subscribe without a filter. Defaults to false.
	// +optional
	TagsFilter bool `json:"tagsFilter,omitempty"`

	// publish is which clients may publish to the channel: none of them, only its Subscribers, or Anybody. Backends may
	// publish to every channel. Defaults to Subscribers.
	// +optional
	// +kubebuilder:default=Subscribers
	Publish ChannelPublish `json:"publish,omitempty"`

	// subscribe is which clients may subscribe to the channel: Anybody, Authenticated clients (those with a user), or
	// clients with a Token for the channel. That is a subscription token, or a connection token that names the channel.
	// Defaults to Anybody.
	// +optional
	// +kubebuilder:default=Anybody
	Subscribe ChannelSubscribe `json:"subscribe,omitempty"`

	// slowConsumer is what a gateway does for a client that does not keep up with the channel. Disconnect closes the
	// connection when the client's queue is full. DropOldest drops the oldest messages of such channels from the client's
	// queue. LatestOnly keeps only the channel's latest message while the client's socket is full. Defaults to
	// Disconnect.
	// +optional
	// +kubebuilder:default=Disconnect
	SlowConsumer SlowConsumer `json:"slowConsumer,omitempty"`
}

// ChannelHistory configures how many of a channel's publications are kept, and for how long.
type ChannelHistory struct {
	// size is the maximum number of publications that are kept, 1 to 100000. When there are more, the oldest is dropped.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Size int32 `json:"size"`

	// ttl is how long publications are kept after the latest one, as a duration from 1s to 720h.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="must be a duration from 1s to 720h, such as 10m or 24h"
	TTL metav1.Duration `json:"ttl"`
}

// PresenceSpec configures how long members stay in channels after their connection or their gateway is gone.
//
// +kubebuilder:validation:XValidation:rule="!has(self.grace) || !has(self.ttl) || !self.grace.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || !self.ttl.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || duration(self.grace) < duration(self.ttl)",message="must be shorter than spec.gateway.presence.ttl: lower spec.gateway.presence.grace or raise spec.gateway.presence.ttl",fieldPath=".grace"
type PresenceSpec struct {
	// ttl is how long the members of a gateway that was killed stay in their channels, as a duration from 5s to 1h.
	// Defaults to 60s.
	// +optional
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('5s') && duration(self) <= duration('1h')",message="must be a duration from 5s to 1h, such as 30s or 5m"
	TTL *metav1.Duration `json:"ttl,omitempty"`

	// grace is how long a user whose connection is closed stays a member of its channels, in case the client reconnects,
	// as a duration from 0s to 5m. It must be shorter than ttl. With 0s the user leaves at once. Defaults to 15s.
	// +optional
	// +kubebuilder:default="15s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('5m')",message="must be a duration from 0s to 5m, such as 15s or 1m"
	Grace *metav1.Duration `json:"grace,omitempty"`
}
