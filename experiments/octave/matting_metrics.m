% SAD, MSE, Grad and Conn as the "matlab" variant of tmfnet_jax.metrics defines
% them, written from the formulas and with Octave's own image functions.
%
%   octave-cli matting_metrics.m FOLDER NAME ...
%
% FOLDER holds NAME_pred.txt, NAME_alpha.txt and NAME_trimap.txt: 8-bit values, a
% line per row of the image.
% Prints a line per name: NAME SAD/1000 MSE Grad/1000 Conn/1000.

pkg load image

function [gx, gy] = derivatives(image, sigma)
  threshold = 1e-2;
  half = ceil(sigma * sqrt(-2 * log(sqrt(2 * pi) * sigma * threshold)));
  x = -half:half;
  bell = exp(-x .^ 2 / (2 * sigma ^ 2)) / (sigma * sqrt(2 * pi));
  kernel = bell' * (-x .* bell / sigma ^ 2);
  kernel /= norm(kernel, "fro");
  gx = imfilter(image, kernel, "replicate", "conv");
  gy = imfilter(image, kernel', "replicate", "conv");
end

function value = grad_error(pred, alpha, unknown)
  [px, py] = derivatives(mat2gray(pred), 1.4);
  [ax, ay] = derivatives(mat2gray(alpha), 1.4);
  gap = sqrt(px .^ 2 + py .^ 2) - sqrt(ax .^ 2 + ay .^ 2);
  value = sum(gap(unknown) .^ 2) / 1000;
end

function value = conn_error(pred, alpha, unknown, step)
  pred = single(pred) / 255;
  alpha = single(alpha) / 255;
  thresholds = 0:step:1;
  level = -ones(size(pred));
  for k = 2:numel(thresholds)
    parts = bwconncomp(pred >= thresholds(k) & alpha >= thresholds(k), 4);
    source = false(size(pred));
    if parts.NumObjects > 0
      [~, largest] = max(cellfun(@numel, parts.PixelIdxList));
      source(parts.PixelIdxList{largest}) = true;
    end
    level(level == -1 & ! source) = thresholds(k - 1);
  end
  level(level == -1) = 1;
  gap = pred - level;
  pred_phi = 1 - gap .* (gap >= 0.15);
  gap = alpha - level;
  alpha_phi = 1 - gap .* (gap >= 0.15);
  value = sum(abs(double(pred_phi(unknown)) - double(alpha_phi(unknown)))) / 1000;
end

given = argv();
for k = 2:numel(given)
  name = given{k};
  read = @(role) uint8(dlmread(fullfile(given{1}, [name "_" role ".txt"])));
  pred = read("pred");
  alpha = read("alpha");
  unknown = read("trimap") == 128;
  gap = (double(pred(unknown)) - double(alpha(unknown))) / 255;
  sad = sum(abs(gap)) / 1000;
  mse = sum(gap .^ 2) / max(nnz(unknown), 1);
  printf("%s %.17g %.17g %.17g %.17g\n", name, sad, mse, ...
         grad_error(pred, alpha, unknown), conn_error(pred, alpha, unknown, 0.1));
end
