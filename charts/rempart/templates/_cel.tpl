{{/*
The CEL that several admission policies share, each piece written once.

Words used throughout:
  policy      the PlacementPolicy in question, `params`
  level       what a pod's data is worth; `rank` is its place in spec.levels, least sensitive first
  needed      the nodeSelector keys that a pod must carry for this policy
  own         the nodeSelector keys of this policy that it carries
A list written [x].exists(name, …) means: let `name` be x in …
*/}}

{{- define "rempart.cel.domain" -}}rempart.node-restriction.kubernetes.io{{- end }}

{{/* A cap on how many nodeSelector entries are searched for keys that are not needed. The CEL
budget of one expression is finite and a request may be 3 MiB; beyond the cap nothing is removed,
which only narrows where the pod may run. */}}
{{- define "rempart.cel.maxSelector" -}}1000{{- end }}

{{/* Annotations longer than this are refused before they are split. */}}
{{- define "rempart.cel.maxNote" -}}1024{{- end }}

{{/* The parameter of all policies but the static ones. */}}
{{- define "rempart.paramKind" -}}
apiVersion: rempart.dev/v1alpha1
kind: PlacementPolicy
{{- end }}

{{/* ---------- the policy ---------- */}}

{{- define "rempart.cel.variables.policy" -}}
- name: policy
  expression: params.metadata.name
- name: levels
  expression: params.spec.levels.map(l, l.name)
- name: categories
  expression: params.spec.?categories.orValue([]).map(c, c.name)
{{- end }}

{{/* ---------- who says what ---------- */}}

{{- define "rempart.cel.variables.saidOfNamespace" -}}
- name: namespaceLevel
  expression: namespaceObject.metadata.?labels[?'rempart.dev/sensitivity']
- name: namespaceCategories
  expression: namespaceObject.metadata.?labels[?'rempart.dev/categories']
{{- end }}

{{/* A pod carries its workload's annotations as a mirror, which admission keeps on templates. */}}
{{- define "rempart.cel.variables.saidOfPod" -}}
- name: workloadLevel
  expression: object.metadata.?annotations[?'rempart.dev/workload-sensitivity']
- name: workloadCategories
  expression: object.metadata.?annotations[?'rempart.dev/workload-categories']
- name: podLevel
  expression: object.metadata.?annotations[?'rempart.dev/sensitivity']
- name: podCategories
  expression: object.metadata.?annotations[?'rempart.dev/categories']
- name: selector
  expression: object.spec.?nodeSelector.orValue({})
{{- end }}

{{/* A workload speaks for itself, and its pod template for its pods. */}}
{{- define "rempart.cel.variables.saidOfWorkload" -}}
- name: template
  expression: |-
    request.kind.kind == 'CronJob' ? object.spec.jobTemplate.spec.template : object.spec.template
- name: workloadLevel
  expression: object.metadata.?annotations[?'rempart.dev/sensitivity']
- name: workloadCategories
  expression: object.metadata.?annotations[?'rempart.dev/categories']
- name: podLevel
  expression: variables.template.?metadata.?annotations[?'rempart.dev/sensitivity']
- name: podCategories
  expression: variables.template.?metadata.?annotations[?'rempart.dev/categories']
- name: selector
  expression: variables.template.?spec.?nodeSelector.orValue({})
{{- end }}

{{/* ---------- what follows from it: the same for a pod and for a template ---------- */}}

{{- define "rempart.cel.variables.needed" -}}
- name: saidLevels
  expression: '[variables.namespaceLevel, variables.workloadLevel, variables.podLevel].unwrapOpt()'
- name: ranks   # -1: a level that the policy does not know
  expression: variables.saidLevels.map(l, variables.levels.indexOf(l))
- name: rank    # of the effective level: the most sensitive of what is said
  expression: |-
    variables.ranks.size() == 0
      ? variables.levels.indexOf(params.spec.defaultLevel)
      : variables.ranks.max()
- name: tooLong
  expression: |-
    [variables.workloadLevel, variables.podLevel, variables.workloadCategories, variables.podCategories]
      .unwrapOpt().exists(v, v.size() > {{ include "rempart.cel.maxNote" . }})
- name: saidCategories
  expression: |-
    variables.tooLong ? [] : [
      variables.namespaceCategories.optMap(v, v.split('.')),
      variables.workloadCategories.optMap(v, v.split(',')),
      variables.podCategories.optMap(v, v.split(','))
    ].unwrapOpt().flatten()
- name: understood
  expression: |-
    !variables.tooLong
      && variables.ranks.all(r, r >= 0)
      && variables.saidCategories.all(c, c in variables.categories)
- name: demandingLevel   # requirements accumulate: a level requires something when it or one below it does
  expression: |-
    params.spec.levels.exists(i, l, i <= variables.rank && has(l.require))
      ? [variables.levels[variables.rank]] : []
- name: demandingCategories
  expression: |-
    params.spec.?categories.orValue([])
      .filter(c, has(c.require) && c.name in variables.saidCategories).map(c, c.name)
- name: exceptions   # that are for this level in this namespace: one at most
  expression: |-
    !has(params.spec.exceptions) ? [] : params.spec.exceptions.filter(e,
      request.namespace in e.namespaces && variables.rank <= variables.levels.indexOf(e.level)).map(e, e.name)
- name: needed   # the nodeSelector keys; that of an exception stands for that of the level
  expression: |-
      variables.demandingLevel.map(l, variables.exceptions.size() > 0
        ? 'exception.{{ include "rempart.cel.domain" . }}/' + variables.policy + '.' + variables.exceptions[0]
        : 'clearance.{{ include "rempart.cel.domain" . }}/' + variables.policy + '.' + l)
      + variables.demandingCategories.map(c, 'category.{{ include "rempart.cel.domain" . }}/' + variables.policy + '.' + c)
- name: missing
  expression: variables.needed.filter(k, variables.selector[?k] != optional.of('true'))
{{- end }}

{{- define "rempart.cel.variables.surplus" -}}
- name: ownPrefixes
  expression: |-
    ['clearance', 'category', 'exception'].map(p, p + '.{{ include "rempart.cel.domain" . }}/' + variables.policy + '.')
- name: own   # keys of this policy that are there; beyond {{ include "rempart.cel.maxSelector" . }} entries none is searched for, which only narrows
  expression: |-
    variables.selector.size() > {{ include "rempart.cel.maxSelector" . }} ? [] :
      variables.selector.filter(k, variables.ownPrefixes.exists(p, k.startsWith(p)))
- name: surplus
  expression: variables.own.filter(k, !(k in variables.needed))
{{- end }}

{{/* The patch of a nodeSelector. Takes `at`, a CEL string: where the pod spec is.
What is not understood is left as it is, so that validation can say what is wrong with it. */}}
{{- define "rempart.cel.patchSelector" -}}
!variables.understood ? [] :
  variables.selector.size() == 0
    ? (variables.missing.size() == 0 ? [] : [JSONPatch{
        op: 'add', path: {{ .at }} + '/nodeSelector',
        value: variables.missing.transformMapEntry(i, k, {k: 'true'})}])
    : variables.surplus.map(k, JSONPatch{op: 'remove', path: {{ .at }} + '/nodeSelector/' + jsonpatch.escapeKey(k)})
      + variables.missing.map(k, JSONPatch{op: 'add', path: {{ .at }} + '/nodeSelector/' + jsonpatch.escapeKey(k), value: 'true'})
{{- end }}

{{/* ---------- the common case, in one expression ---------- */}}

{{/* True for a pod that carries exactly the keys that it needs, which is nearly every pod, since
templates are given them. It says in one go what the variables above say one by one, because
variables cost time and match conditions cannot see them. Whoever finds it false looks closer.
`namespace`: whether the namespace has a say; match conditions cannot see it either. */}}
{{- define "rempart.cel.complete" -}}
[object.spec.?nodeSelector.orValue(dyn({}))].exists(selector,
[params.spec.levels.map(l, l.name)].exists(levels,
[[
  {{- if .namespace }}
  dyn(namespaceObject).metadata.?labels[?'rempart.dev/sensitivity'],
  {{- end }}
  object.metadata.?annotations[?'rempart.dev/workload-sensitivity'],
  object.metadata.?annotations[?'rempart.dev/sensitivity']
].unwrapOpt()].exists(said,
[[
  {{- if .namespace }}
  dyn(namespaceObject).metadata.?labels[?'rempart.dev/categories'].optMap(v, v.split('.')),
  {{- end }}
  object.metadata.?annotations[?'rempart.dev/workload-categories'].optMap(v, v.split(',', 33)),
  object.metadata.?annotations[?'rempart.dev/categories'].optMap(v, v.split(',', 33))   // more than 32 are not known anyway
].unwrapOpt().flatten()].exists(categories,
[said.size() == 0 ? [levels.indexOf(params.spec.defaultLevel)] : said.map(l, levels.indexOf(l))].exists(ranks,
  ranks.min() >= 0
  && categories.all(c, params.spec.?categories.orValue([]).exists(known, known.name == c))
  && selector.size() <= {{ include "rempart.cel.maxSelector" . }}
  && [
    (!params.spec.levels.exists(i, l, i <= ranks.max() && has(l.require)) ? []
      : !has(params.spec.exceptions)
        || !params.spec.exceptions.exists(e, request.namespace in e.namespaces && ranks.max() <= levels.indexOf(e.level))
        ? ['clearance.{{ include "rempart.cel.domain" . }}/' + params.metadata.name + '.' + levels[ranks.max()]]
        : params.spec.exceptions.filter(e, request.namespace in e.namespaces && ranks.max() <= levels.indexOf(e.level))
          .map(e, 'exception.{{ include "rempart.cel.domain" . }}/' + params.metadata.name + '.' + e.name))
    + (categories.size() == 0 ? [] :
      params.spec.categories.filter(c, has(c.require) && c.name in categories)
        .map(c, 'category.{{ include "rempart.cel.domain" . }}/' + params.metadata.name + '.' + c.name))
  ].exists(needed,
    needed.all(k, selector[?k] == optional.of('true'))
    && selector.filter(k, k.contains('.{{ include "rempart.cel.domain" . }}/' + params.metadata.name + '.')).size() == needed.size())
)))))
{{- end }}

{{/* ---------- match conditions: no variables and no namespace can be seen here ---------- */}}

{{/* A mirror pod is written by the kubelet for a static pod that already runs on its own node. */}}
{{- define "rempart.cel.mirrorPod" -}}
object.metadata.?annotations[?'kubernetes.io/config.mirror'].hasValue()
  && 'system:nodes' in request.userInfo.?groups.orValue([])
  && request.userInfo.username == 'system:node:' + object.spec.?nodeName.orValue('')
{{- end }}

{{/* A ReplicaSet of a Deployment and a Job of a CronJob come from a template that is complete
already; altering a ReplicaSet's would make its Deployment create new ones without end. */}}
{{- define "rempart.cel.ownTemplate" -}}
!(request.kind.kind in ['ReplicaSet', 'Job']) ||
  !object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false)
    && (request.kind.kind == 'ReplicaSet' || o.kind == 'CronJob'))
{{- end }}

{{/* True when the request itself changes the template or our annotations, so that a rollout
happens anyway; a Job's template can only change while it waits for its first start. */}}
{{- define "rempart.cel.touched" -}}
request.operation == 'CREATE' || (
  !has(object.metadata.deletionTimestamp)
  && (request.kind.kind != 'Job' ||
    (oldObject.spec.?suspend.orValue(false) && !oldObject.?status.?startTime.hasValue()))
  && (object.metadata.?annotations[?'rempart.dev/sensitivity'] != oldObject.metadata.?annotations[?'rempart.dev/sensitivity']
    || object.metadata.?annotations[?'rempart.dev/categories'] != oldObject.metadata.?annotations[?'rempart.dev/categories']
    || (request.kind.kind == 'CronJob'
      ? object.spec.jobTemplate.spec.template != oldObject.spec.jobTemplate.spec.template
      : object.spec.template != oldObject.spec.template)))
{{- end }}

{{/* Which objects have pod templates. */}}
{{- define "rempart.templateRules" -}}
- apiGroups: [apps]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [deployments, statefulsets, daemonsets, replicasets]
- apiGroups: [batch]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [jobs, cronjobs]
{{- end }}
