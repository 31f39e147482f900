// The configuration of OHIF as Overread serves it: one source, DICOMweb of the case
// that this window was opened for; no list of studies, nothing is written or uploaded.
(() => {
  const asked = new URLSearchParams(location.search).get('case') ?? '';
  const ticket = /^[0-9a-f-]{36}$/.test(asked) ? asked : sessionStorage.getItem('overread-case') ?? '';
  sessionStorage.setItem('overread-case', ticket);
  const root = `${location.origin}/c/${ticket}/dicomweb`;
  window.config = {
    name: 'overread',
    routerBasename: null,
    extensions: [],
    modes: [],
    customizationService: {},
    showStudyList: false,
    maxNumberOfWebWorkers: 3,
    showWarningMessageForCrossOrigin: false,
    showCPUFallbackMessage: true,
    showLoadingIndicator: true,
    strictZSpacingForVolumeViewport: true,
    maxNumRequests: { interaction: 20, thumbnail: 5, prefetch: 10 },
    showErrorDetails: 'production',
    defaultDataSourceName: 'overread',
    dataSources: [
      {
        namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
        sourceName: 'overread',
        configuration: {
          friendlyName: 'The case',
          name: 'overread',
          qidoRoot: root,
          wadoRoot: root,
          wadoUriRoot: root,
          qidoSupportsIncludeField: false,
          imageRendering: 'wadors',
          thumbnailRendering: 'wadors',
          enableStudyLazyLoad: true,
          supportsFuzzyMatching: false,
          supportsWildcard: false,
          supportsStow: false,
          supportsReject: false,
          dicomUploadEnabled: false,
          singlepart: '',
          bulkDataURI: { enabled: true, relativeResolution: 'studies' },
          omitQuotationForMultipartRequest: true,
        },
      },
    ],
  };
})();
